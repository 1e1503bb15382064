import { block, chapter, claim, say, until } from './stage.mjs'

/** /health, /metrics, and where to look. */
export async function showEnd({ admin, workerAdmin, url, traces, ledgerDir }) {
  chapter('GET /health')
  const health = await until(
    async () => (await fetch(`${admin}/health`)).json(),
    ({ checks }) => failing(checks).join() === 'ledger',
  )
  showHealth(health)
  claim(failing(health.checks).join() === 'ledger', 'every dependency passes; only the ledger has something to tell')
  claim(health.status === 'warn', 'health says warn: promises were broken, and the service can work')

  chapter('GET /metrics')
  const text = await until(
    async () => (await fetch(`${admin}/metrics`)).text(),
    (now) => outcome(now, 'false_success') >= 3 && outcome(now, 'recovered') >= 1,
    10,
  )
  showNumbers(text)
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

/** What passes by its name, what does not with all that is said of it. */
function showHealth({ status, checks }) {
  const names = [...new Set(Object.keys(checks).map((key) => key.split(':')[0]))]
  const bad = failing(checks)
  say(`   ${status}`)
  say(`   pass: ${names.filter((name) => !bad.includes(name)).join(', ')}`)
  const told = Object.entries(checks).filter(([key]) => bad.includes(key.split(':')[0]))
  block(JSON.stringify(Object.fromEntries(told), null, 2))
}

/** Of all that Prometheus is told the lines that no dashboard had before, where they count anything. */
function showNumbers(text) {
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const told = samples.filter(
    (line) => /^(afterspan_requests_effective_total|afterspan_tasks_total)\{/.test(line) && !line.endsWith(' 0'),
  )
  block(told.join('\n'))
  say(`   … and ${samples.length - told.length} more`)
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
