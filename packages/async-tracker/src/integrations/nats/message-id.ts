/** What JetStream calls a message: the message id of a task. Without a number: how those of a stream begin. */
export function messageId(stream: string, sequence: number | ''): string {
  return `${stream}/${sequence}`
}
