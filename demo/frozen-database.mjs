import { block, chapter, claim, progress, say, until } from './stage.mjs'

const PATHS = ['/readyz', '/health', '/livez']

/** PostgreSQL stops answering without closing anything: the worst kind of gone. */
export async function frozenDatabase({ admin, database }) {
  chapter('PostgreSQL freezes')
  const before = await ask(admin)
  tell(before)
  claim(before['/readyz'].status === 200 && before['/livez'].status === 200, 'ready and alive before')
  say('\n   SIGSTOP to the postmaster and all of its children')
  const from = performance.now()
  database.freeze()
  try {
    progress('waiting for /readyz to say so')
    const frozen = await until(
      () => ask(admin),
      (now) => now['/readyz'].status === 503 && now['/health'].status === 503,
    )
    tell(frozen)
    const seconds = (performance.now() - from) / 1000
    block(frozen['/readyz'].text)
    claim(
      frozen['/readyz'].status === 503 && frozen['/health'].status === 503,
      `/readyz and /health are 503 after ${seconds.toFixed(1)} s`,
    )
    claim(seconds < 10, 'within seconds')
    claim(/postgresql/.test(frozen['/readyz'].text) && /timeout/.test(frozen['/health'].text), 'with the reason')
    claim(frozen['/livez'].status === 200, '/livez is 200 all the while: a restart would not help')
  } finally {
    say('\n   SIGCONT')
    database.thaw()
  }
  const after = await until(
    () => ask(admin),
    (now) => now['/readyz'].status === 200 && now['/health'].status === 200,
  )
  tell(after)
  claim(
    PATHS.every((path) => after[path].status === 200),
    'all three are 200 again',
  )
}

async function ask(admin) {
  const answers = await Promise.all(
    PATHS.map(async (path) => {
      const response = await fetch(`${admin}${path}${path === '/readyz' ? '?verbose' : ''}`, {
        signal: AbortSignal.timeout(5_000),
      })
      return [path, { status: response.status, text: await response.text() }]
    }),
  )
  return Object.fromEntries(answers)
}

function tell(answers) {
  say(`   ${PATHS.map((path) => `${path} ${answers[path].status}`).join('   ')}`)
}
