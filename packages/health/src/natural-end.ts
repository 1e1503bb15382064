const SOCKETS: ReadonlySet<string> = new Set(['TCPSocketWrap', 'PipeWrap'])
const STANDARD_STREAMS = 3

/**
 * Whether a process that is at its end would still be here: nothing holds its event loop but so many sockets, over which something of ours
 * is asked. Its standard streams do not hold it, though Node lists them. A channel to a parent process holds it as long as somebody listens.
 */
export function isAtItsEnd(
  sockets: number,
  resources: readonly string[] = process.getActiveResourcesInfo(),
  hasChannel: boolean = process.channel !== undefined,
): boolean {
  if (hasChannel) return false
  const others = resources.filter((name) => !SOCKETS.has(name) && name !== 'TTYWrap')
  const tcp = resources.filter((name) => name === 'TCPSocketWrap').length
  return others.length === 0 && tcp <= sockets && resources.length - tcp <= sockets - tcp + STANDARD_STREAMS
}
