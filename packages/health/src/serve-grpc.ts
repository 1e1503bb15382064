import { globalState } from '@afterspan/core/internal'

/**
 * Serves grpc.health.v1 (Check, List, Watch) on this Server of @grpc/grpc-js: for '' and for the names of its own services what /readyz says, for
 * the name of a check or group what that says. A health service that the server has already stays. Never throws; without the preload nothing
 * is served. With AFTERSPAN_HEALTH_MOUNT=app every server has it without this.
 */
export function serveGrpc(server: object): void {
  globalState().serveGrpcHealth?.(server)
}
