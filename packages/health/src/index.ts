import { group } from './group.ts'
import { heartbeat } from './heartbeat.ts'
import { onChange } from './listeners.ts'
import { httpProbe } from './probes/http.ts'
import { registerProbe } from './register-probe.ts'
import { serveGrpc } from './serve-grpc.ts'

export type { HealthGroup } from './group.ts'
export type { Heartbeat, HeartbeatOptions } from './heartbeat.ts'
export type { HttpProbeOptions } from './probes/http-options.ts'
export { httpProbe, registerProbe }

/** Health from code. Each call is useful with the preload and harmless without it. */
export const health = { group, heartbeat, onChange, registerProbe, serveGrpc }
