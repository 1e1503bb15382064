import { Agent as HttpAgent, globalAgent, type AgentOptions } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Socket } from 'node:net'
import { currentTls } from './current-tls.ts'
import { OWN_REQUEST } from './own-request.ts'
import { connectionKey, type TlsSettings } from './settings.ts'

/** Until the tunnel of a proxy is there. */
const TUNNEL_MS = 10_000

const agents = new Map<string, HttpAgent | HttpsAgent>()

/** The connections to a collector. */
export function agentFor({ origin, protocol }: URL, tls: TlsSettings | undefined): HttpAgent | HttpsAgent {
  const key = connectionKey(origin, tls)
  let agent = agents.get(key)
  if (!agent) {
    agent = protocol === 'https:' ? secureAgent(tls) : new HttpAgent(common())
    Object.defineProperty(agent, OWN_REQUEST, { value: true })
    agents.set(key, agent)
  }
  return agent
}

/** By the proxy that Node uses, where it was told to (NODE_USE_ENV_PROXY, --use-env-proxy). An agent of one's own does not know of it. */
function common(): AgentOptions {
  const { proxyEnv } = (globalAgent as { readonly options?: AgentOptions }).options ?? {}
  return { keepAlive: true, maxSockets: 2, ...(proxyEnv ? { proxyEnv } : {}) }
}

/** No session is kept where a certificate is shown: one that is taken up again shows none. */
function secureAgent(tls: TlsSettings | undefined): HttpsAgent {
  const options = common()
  const agent = new HttpsAgent({ ...options, maxCachedSessions: tls ? 0 : 100 })
  const connect = agent.createConnection.bind(agent)
  const more = options.proxyEnv ? { timeout: TUNNEL_MS } : {}
  agent.createConnection = (target, done) => {
    const socket = connect({ ...target, ...currentTls(tls), ...more }, done)
    // While a proxy has not answered, nobody else has it.
    if (socket instanceof Socket) socket.unref()
    return socket
  }
  return agent
}
