export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** `12.3 (11.0-14.1)`: the median, and the middle half. */
export function spread(values, digits = 1) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
  return `${median(values).toFixed(digits)} (${at(0.25).toFixed(digits)}-${at(0.75).toFixed(digits)})`
}

/** Runs every contestant once a round, in an order that turns round each time, so that drift of the machine hits all alike. */
export async function interleaved(names, rounds, measure) {
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 ? [...names].reverse() : names
    for (const name of order) results[name].push(await measure(name, round))
  }
  return results
}
