// node test/services/prometheus.mjs [port]: a Prometheus with an empty store.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask, byHand, find, HOST, missingProgram, startServer } from './server.mjs'

export const missing = () => missingProgram('prometheus', 'prometheus') ?? missingProgram('promtool', 'prometheus')

/** Scrapes `targets` (host:port) each `scrapeIntervalMs` as the job "afterspan"; `ruleFiles` are absolute paths. */
export async function start({ port = 0, targets = [], ruleFiles = [], scrapeIntervalMs = 1000 } = {}) {
  const promtool = find('promtool')
  const server = await startServer({
    name: 'prometheus',
    port,
    command: find('prometheus'),
    prepare: (folder) => configure(folder, promtool, { targets, ruleFiles, scrapeIntervalMs }),
    args: (p, folder) => [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'tsdb')}`,
      `--web.listen-address=${HOST}:${p}`,
      '--log.level=warn',
    ],
    isReady: async (p) => /^HTTP\/1\.[01] 200/.test(await ask(p, `GET /-/ready HTTP/1.0\r\n\r\n`)),
    url: (p) => `http://${HOST}:${p}`,
  })
  return { ...server, promtool }
}

/** JSON is YAML. promtool says what is wrong with a file of rules; the server would only say that it ended. */
function configure(folder, promtool, { targets, ruleFiles, scrapeIntervalMs }) {
  const file = join(folder, 'prometheus.yml')
  const interval = `${scrapeIntervalMs}ms`
  writeFileSync(
    file,
    JSON.stringify({
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: ruleFiles,
      scrape_configs: [{ job_name: 'afterspan', static_configs: [{ targets }] }],
    }),
  )
  const checked = spawnSync(promtool, ['check', 'config', file], { encoding: 'utf8' })
  if (checked.status !== 0) throw new Error(`${checked.stdout}${checked.stderr}`)
}

await byHand(import.meta.url, { missing, start })
