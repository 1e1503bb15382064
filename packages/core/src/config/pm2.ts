// PM2 runs an app inside of a script of its own: that is what Node was told to run, and in cluster mode the app's environment is only
// taken over there. Loaded by the guard: it must run on any Node that still has users.

type Env = Record<string, string | undefined>

const CONTAINER = /[/\\]pm2[/\\]lib[/\\]ProcessContainer\w*\.js$/

export function isPm2Container(script: string): boolean {
  return CONTAINER.test(script)
}

/** The file that is the app; undefined for what has none (`node -e`). */
export function appScript(
  env: Readonly<Env> = process.env,
  script: string | undefined = process.argv[1],
): string | undefined {
  return (script !== undefined && isPm2Container(script) && env['pm_exec_path']) || script
}

/** In cluster mode PM2 puts the app's own variables into the environment as soon as its script runs, which is after the preload. */
export function takePm2Environment(env: Env = process.env, script: string | undefined = process.argv[1]): void {
  const given = env['pm2_env']
  if (!given || script === undefined || !isPm2Container(script)) return
  try {
    const variables = JSON.parse(given) as Readonly<Record<string, unknown>>
    for (const name of Object.keys(variables)) {
      const value = variables[name]
      if (typeof value === 'string') env[name] = value
    }
  } catch {
    // not as we know it: PM2 will say so
  }
}
