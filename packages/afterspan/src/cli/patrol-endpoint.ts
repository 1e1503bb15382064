// What a patrol of its own answers by HTTP, where it is given a port: the numbers of the ledger, which no app has then, and what is
// asked about work. Not by the variable for the port: an app beside it may have the same environment, and needs that one.
import { patrolMetrics, routeQuestions, type PatrolService } from '@afterspan/async-tracker/internal'
import { AdminServer, adminSettings, loadConfig, metricsRoute, say } from '@afterspan/core/internal'

export interface PatrolEndpoint {
  stop(): Promise<void>
}

/** 0: any port that is free. */
export function servePatrol(service: PatrolService, port: number): PatrolEndpoint {
  const server = new AdminServer({ ...adminSettings(loadConfig()), port }, say)
  const collect = patrolMetrics(service)
  server.route(
    '/metrics',
    metricsRoute(async () => ({ families: await collect(), staleMs: 0, isComplete: true })),
  )
  routeQuestions(server, (path, query) => service.ask(path, query))
  server.start()
  return server
}
