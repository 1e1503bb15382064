const BEAT_MS = 500
const MISSED_MS = 3 * BEAT_MS

/** Writes the monotonic clock into the shared number twice a second, as long as the event loop turns. */
export function startHeartbeat(): SharedArrayBuffer {
  const heartbeat = new SharedArrayBuffer(8)
  const cell = new BigInt64Array(heartbeat)
  const beat = (): void => {
    Atomics.store(cell, 0, process.hrtime.bigint())
  }
  beat()
  setInterval(beat, BEAT_MS).unref()
  return heartbeat
}

/** How long the other thread has been silent, in ms; 0 while it beats. A pause of the whole process (SIGSTOP, a sleeping machine) is nobody's silence: this thread was away too. */
export function watchHeartbeat(heartbeat: SharedArrayBuffer): () => number {
  const cell = new BigInt64Array(heartbeat)
  let awakeSince = process.hrtime.bigint()
  let turned = awakeSince
  setInterval(() => {
    const now = process.hrtime.bigint()
    if (ms(now - turned) > MISSED_MS) awakeSince = now
    turned = now
  }, BEAT_MS).unref()
  return () => {
    const now = process.hrtime.bigint()
    if (ms(now - turned) > MISSED_MS) return 0
    const beat = Atomics.load(cell, 0)
    const silent = ms(now - (beat > awakeSince ? beat : awakeSince))
    return silent > MISSED_MS ? silent : 0
  }
}

function ms(nanos: bigint): number {
  return Number(nanos) / 1e6
}
