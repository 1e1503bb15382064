import { block, chapter, claim, say, until } from './stage.mjs'

/** /health, /metrics, and where to look. */
export async function showEnd({ admin, workerAdmin, url, traces, ledgerDir }) {
  chapter('GET /health')
  const health = await until(
    async () => (await fetch(`${admin}/health`)).json(),
    ({ checks }) => failing(checks).join() === 'ledger',
  )
  block(JSON.stringify(health, null, 2))
  claim(failing(health.checks).join() === 'ledger', 'every dependency passes; only the ledger has something to tell')
  claim(health.status === 'warn', 'health says warn: promises were broken, and the service can work')

  chapter('GET /metrics: afterspan_* and http_server_*')
  const text = await until(
    async () => (await fetch(`${admin}/metrics`)).text(),
    (now) => outcome(now, 'false_success') >= 3 && outcome(now, 'recovered') >= 1,
    10,
  )
  block(
    text
      .split('\n')
      .filter((line) => /^(afterspan_|http_server_)/.test(line) && !/_bucket/.test(line))
      .join('\n'),
  )
  claim(
    outcome(text, 'false_success') === 3,
    'afterspan_requests_effective_total counts three false successes: 200s whose work failed',
  )
  claim(outcome(text, 'recovered') === 1, 'one of them recovered')
  claim(outcome(text, 'kept') === 1, 'one promise was kept from the start')

  chapter('Where to look')
  say(`   shop      ${url}`)
  say(`   health    ${admin}/health   /readyz   /livez`)
  say(`   metrics   ${admin}/metrics  (worker: ${workerAdmin}/metrics)`)
  say(`   traces    ${traces.page('<trace id>')}`)
  say(`   receipts  AFTERSPAN_LEDGER_DIR=${ledgerDir} npx afterspan receipt <trace id>`)
}

function outcome(text, word) {
  const found = new RegExp(
    `^afterspan_requests_effective_total\\{[^}]*http_route="/orders"[^}]*outcome="${word}"[^}]*\\} (\\d+)$`,
    'm',
  ).exec(text)
  return found ? Number(found[1]) : 0
}

/** The names of the checks that do not pass. */
function failing(checks) {
  const names = Object.entries(checks).filter(([, values]) => values.some(({ status }) => status !== 'pass'))
  return [...new Set(names.map(([name]) => name.split(':')[0]))]
}
