import { join } from 'node:path'
import { globalState, requireKept, type Core } from '@afterspan/core/internal'
import type * as GrpcServers from './grpc-server.ts'
import { createGrpcServing } from './grpc-serving.ts'
import type { HealthSnapshot } from './snapshot.ts'

/**
 * grpc.health.v1 on gRPC servers of the app: on all that it binds, or on those that it names by health.serveGrpc(). Nothing is loaded before
 * there is one. What is returned says that there is a new snapshot.
 */
export function mountOnGrpc(
  core: Pick<Core, 'addModuleHook'>,
  given: {
    readonly bundleDir: string
    readonly isOnAll: boolean
    readonly snapshot: () => HealthSnapshot
    readonly onError: (error: unknown) => void
  },
): () => void {
  const serving = createGrpcServing(given.snapshot, given.onError)
  const load = (): typeof GrpcServers => requireKept(join(given.bundleDir, 'grpc-server.js')) as typeof GrpcServers
  if (given.isOnAll)
    core.addModuleHook({
      name: '@grpc/grpc-js servers (health)',
      module: '@grpc/grpc-js',
      files: ['build/src/server.js'],
      versions: '>=1.4.0 <2',
      patch(exports: Parameters<typeof GrpcServers.serveOnAll>[0]) {
        load().serveOnAll(exports, serving)
      },
    })
  globalState().serveGrpcHealth = (server) => {
    try {
      load().addHealth(server as GrpcServers.GrpcServer, serving)
    } catch (error) {
      given.onError(error)
    }
  }
  return () => {
    serving.tell()
  }
}
