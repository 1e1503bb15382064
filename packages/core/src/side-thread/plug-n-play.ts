/**
 * For threads of ours, as `execArgv`: nothing that the app's own have, but for Yarn's Plug'n'Play. There our files lie in archives, which
 * its hook alone can open; where NODE_OPTIONS names the hook, threads have it anyway. https://yarnpkg.com/advanced/pnpapi
 */
export function threadArgs(): string[] {
  if (!process.versions['pnp']) return []
  try {
    return ['--require', require.resolve('pnpapi')]
  } catch {
    return [] // a hook that hides itself
  }
}
