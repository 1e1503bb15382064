// `pnpm bench`: figures, side by side in one run, against the budgets. `--short` is what CI runs; it prints the same tables from fewer rounds.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { benchHealth } from './health.mjs'
import { benchJournal } from './journal.mjs'
import { benchPatrol } from './patrol.mjs'
import { installOthers, OTHER_NAMES } from './others.mjs'
import { benchQueues } from './queues.mjs'
import { benchRequests } from './requests.mjs'
import { benchStack } from './stack.mjs'
import { benchStartup } from './startup.mjs'

const PARTS = {
  startup: () => benchStartup(collectorUrl, rounds),
  http: () => ofApp('http', '/'),
  express: () => ofApp('express', '/plain/7'),
  stack: () => benchStack(collectorUrl, values.short ? 1 : rounds, requests / 2, rate),
  health: () => benchHealth(collectorUrl, values.short ? 1 : rounds, values.short ? 500 : 5_000),
  journal: () => benchJournal(rounds),
  queues: () => benchQueues(collectorUrl, rounds, values.short),
  patrol: () => benchPatrol(rounds),
}
const NAMES = Object.keys(PARTS).join(', ')
const HELP = `Usage: pnpm bench [options]

  --short             what CI runs: 3 rounds, fewer requests
  --only <parts>      some of ${NAMES}; more than one by commas
  --rounds <n>        from 1 to 100; 9 where nothing is said
  --rate <n>          requests a second in http, express and stack; as many as each can answer where nothing is said
  --within <seconds>  no part begins later than that; those that are left out are named
  --against <others>  beside them, preloads in startup, http, express and stack, the others in health: some of ${OTHER_NAMES.join(', ')}; they are installed by npm's registry first
  --json              figures and verdicts as JSON
  --strict            exit code 1 where a budget is not kept
`

const { values } = parsed()
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
for (const name of values.only?.split(',') ?? [])
  if (!Object.hasOwn(PARTS, name)) refuse(`--only ${JSON.stringify(name)}: allowed are ${NAMES}`)
const against = values.against?.split(',') ?? []
for (const name of against)
  if (!OTHER_NAMES.includes(name)) refuse(`--against ${JSON.stringify(name)}: allowed are ${OTHER_NAMES.join(', ')}`)
const rounds = Number(values.rounds ?? (values.short ? 3 : 9))
if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
  refuse(`--rounds ${JSON.stringify(values.rounds)}: allowed is a whole number from 1 to 100`)
const withinSeconds = Number(values.within ?? Infinity)
if (!(withinSeconds > 0)) refuse(`--within ${JSON.stringify(values.within)}: allowed is a number of seconds above 0`)
const rate = values.rate === undefined ? undefined : Number(values.rate)
if (rate !== undefined && !(rate > 0)) refuse(`--rate ${JSON.stringify(values.rate)}: allowed is a number above 0`)
const requests = values.short ? 6_000 : 20_000
const wanted = (name) => !values.only || values.only.split(',').includes(name)

installOthers(against)
const collector = createServer((req, res) => {
  req.resume()
  req.on('end', () => {
    res.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
  })
}).listen(0, '127.0.0.1')
await new Promise((resolve) => collector.once('listening', resolve))
const collectorUrl = `http://127.0.0.1:${collector.address().port}`

const figures = {}
for (const [name, measure] of Object.entries(PARTS)) if (wanted(name)) await part(name, measure)
collector.closeAllConnections()
collector.close()

const budgets = JSON.parse(readFileSync(new URL('budgets.json', import.meta.url), 'utf8'))
const verdicts = Object.entries(budgets)
  .filter(([key]) => key in figures)
  .map(([key, budget]) => ({
    figure: key,
    measured: Number(figures[key].toFixed(3)),
    budget: budget.max === undefined ? `≥ ${budget.min}` : `≤ ${budget.max}`,
    kept: budget.max === undefined ? figures[key] >= budget.min : figures[key] <= budget.max,
    says: budget.says,
  }))
if (values.json)
  console.log(
    JSON.stringify(
      { date: new Date().toISOString().slice(0, 10), node: process.version, rounds, figures, verdicts },
      null,
      2,
    ),
  )
else {
  console.log(`\nNode ${process.version}, ${rounds} interleaved rounds: median (middle half)`)
  console.table(verdicts)
}
process.exitCode = values.strict && verdicts.some((v) => !v.kept) ? 1 : 0

async function part(name, measure) {
  if (performance.now() > withinSeconds * 1000) {
    console.error(`bench: ${name}: left out, ${withinSeconds} seconds are over`)
    return
  }
  console.error(`bench: ${name} …`)
  const { rows, figures: some } = await measure()
  Object.assign(figures, some)
  if (!values.json) {
    console.log(`\n${name}`)
    console.table(rows)
  }
}

async function ofApp(app, path) {
  const { rows, figures: some } = await benchRequests(collectorUrl, rounds, requests, { app, path, rate })
  const { requestOfAuto, requestCoreOfAuto, rssAddedMb } = some
  return {
    rows,
    figures: {
      [`${app}RequestOfAuto`]: requestOfAuto,
      [`${app}RequestCoreOfAuto`]: requestCoreOfAuto,
      [`${app}RssAddedMb`]: rssAddedMb,
    },
  }
}

function parsed() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h' },
        short: { type: 'boolean' },
        json: { type: 'boolean' },
        only: { type: 'string' },
        against: { type: 'string' },
        strict: { type: 'boolean' },
        rounds: { type: 'string' },
        rate: { type: 'string' },
        within: { type: 'string' },
      },
    })
  } catch (error) {
    return refuse(error.message)
  }
}

function refuse(why) {
  console.error(`bench: ${why}\n\n${HELP}`)
  process.exit(2)
}
