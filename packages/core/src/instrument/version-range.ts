/** Whether a version is in a range of comparators: '>=4.0.0 <6', '>=8 <9 || >=10', '*'. Prereleases count as their release. */
export function inRange(version: string, range: string): boolean {
  const own = numbers(version)
  return range.split('||').some(
    (all) =>
      all.trim() === '*' ||
      all
        .trim()
        .split(/\s+/)
        .every((part) => satisfies(own, part)),
  )
}
function satisfies(own: readonly number[], part: string): boolean {
  const [, sign = '=', wanted = ''] = /^(>=|<=|>|<|=)?(.*)$/.exec(part) ?? []
  const order = compare(own, numbers(wanted))
  if (sign === '>=') return order >= 0
  if (sign === '<=') return order <= 0
  if (sign === '>') return order > 0
  return sign === '<' ? order < 0 : order === 0
}
function numbers(version: string): number[] {
  return version
    .split(/[-+]/)[0]!
    .split('.')
    .map((n) => Number.parseInt(n, 10) || 0)
}
function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
