import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { currentTls } from './current-tls.ts'
import { OWN_REQUEST } from './own-request.ts'
import { connectionKey, type TlsSettings } from './settings.ts'

const agents = new Map<string, HttpAgent | HttpsAgent>()

/** The connections to a collector. */
export function agentFor({ origin, protocol }: URL, tls: TlsSettings | undefined): HttpAgent | HttpsAgent {
  const key = connectionKey(origin, tls)
  let agent = agents.get(key)
  if (!agent) {
    agent = protocol === 'https:' ? secureAgent(tls) : new HttpAgent({ keepAlive: true, maxSockets: 2 })
    Object.defineProperty(agent, OWN_REQUEST, { value: true })
    agents.set(key, agent)
  }
  return agent
}

/** No session is kept where a certificate is shown: one that is taken up again shows none. */
function secureAgent(tls: TlsSettings | undefined): HttpsAgent {
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: 2, maxCachedSessions: tls ? 0 : 100 })
  const connect = agent.createConnection.bind(agent)
  if (tls) agent.createConnection = (options, done) => connect({ ...options, ...currentTls(tls) }, done)
  return agent
}
