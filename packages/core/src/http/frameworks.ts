import type { ModuleHooks } from '../instrument/hooks.ts'
import { canSeeHttp2, sayHttp2Unseen } from './http2-server.ts'
import { loggerHooks } from './logger-errors.ts'
import { watchAdonis } from './routes/adonis.ts'
import { apolloHook } from './routes/apollo.ts'
import { connectHook } from './routes/connect.ts'
import { elysiaHook, elysiaStreamHook } from './routes/elysia.ts'
import { expressHook } from './routes/express.ts'
import { watchFastify } from './routes/fastify.ts'
import { findMyWayHook } from './routes/find-my-way.ts'
import type { RequestTeller } from './routes/framework.ts'
import { graphqlHook } from './routes/graphql.ts'
import { h3Hook } from './routes/h3.ts'
import { hapiHook } from './routes/hapi.ts'
import { honoStreamingHook } from './routes/hono-streaming.ts'
import { honoHooks } from './routes/hono.ts'
import { ittyRouterHooks } from './routes/itty-router.ts'
import { koaRouterHook } from './routes/koa-router.ts'
import { koaHook } from './routes/koa.ts'
import { moleculerWebHook } from './routes/moleculer-web.ts'
import { nestFileHook } from './routes/nest-bodies.ts'
import { nestHook } from './routes/nest.ts'
import { orpcHook } from './routes/orpc.ts'
import { polkaHook } from './routes/polka.ts'
import { reactRouterHook } from './routes/react-router.ts'
import { restifyHook } from './routes/restify.ts'
import { trpcHook } from './routes/trpc.ts'
import { whatwgServerHook } from './routes/whatwg-server.ts'
import { zeroHttpHook } from './routes/zero-http.ts'

/** The frameworks whose routes and errors are known. Each is looked at when the app loads it. */
export function watchFrameworks(
  teller: RequestTeller,
  hooks: Pick<ModuleHooks, 'add' | 'status' | 'whenAsked'>,
  onError: (error: unknown) => void,
): void {
  for (const hook of [
    expressHook(teller),
    koaHook(teller),
    koaRouterHook('@koa/router', teller),
    koaRouterHook('koa-router', teller),
    ...honoHooks(teller),
    honoStreamingHook(teller),
    hapiHook(teller),
    h3Hook(),
    nestHook(teller),
    nestFileHook(),
    connectHook(teller),
    polkaHook(teller),
    restifyHook(teller),
    trpcHook(),
    graphqlHook(),
    apolloHook(),
    findMyWayHook(teller),
    zeroHttpHook(teller),
    moleculerWebHook(teller),
    whatwgServerHook(),
    ...ittyRouterHooks(),
    elysiaHook(),
    elysiaStreamHook(),
    orpcHook(),
    reactRouterHook(),
    ...loggerHooks(),
  ])
    hooks.add(hook)
  if (!canSeeHttp2(process.versions.node)) hooks.whenAsked(['http2', 'node:http2'], sayHttp2Unseen)
  watchAdonis(
    teller,
    () => {
      hooks.status.set('@adonisjs/http-server', '@adonisjs/http-server', '', 'active')
    },
    onError,
  )
  watchFastify(
    teller,
    (version) => {
      hooks.status.set('fastify', 'fastify', version, 'active')
    },
    onError,
  )
}
