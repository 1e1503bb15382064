/** What Kafka calls a record: the message id of a task. */
export function recordId(topic: string, partition: number, offset: bigint | number | string): string {
  return `${topic}/${partition}/${offset}`
}

/** The first offset that a call got in a partition. */
export interface FirstOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

/**
 * The ids of the records of one call. A broker tells only where each partition's share of them begins, and nobody which record went to which:
 * known where the app chose, or where a topic got all into one partition. The others are named when they run.
 */
export function recordIds(
  records: readonly { readonly topic: string; readonly partition?: number | undefined }[],
  firsts: readonly FirstOffset[],
): (string | undefined)[] {
  const partitions = new Map<string, FirstOffset[]>()
  for (const first of firsts) partitions.set(first.topic, [...(partitions.get(first.topic) ?? []), first])
  const hasChoice = new Set<string>()
  for (const { topic, partition } of records) if (typeof partition !== 'number') hasChoice.add(topic)
  const counts = new Map<FirstOffset, number>()
  return records.map(({ topic, partition }) => {
    const known = partitions.get(topic) ?? []
    const first =
      known.length === 1 ? known[0] : hasChoice.has(topic) ? undefined : known.find((f) => f.partition === partition)
    if (!first || first.offset < 0n) return undefined
    const count = counts.get(first) ?? 0
    counts.set(first, count + 1)
    return recordId(topic, first.partition, first.offset + BigInt(count))
  })
}
