/** What JetStream calls a message: the message id of a task. */
export function messageId(stream: string, sequence: number): string {
  return `${stream}/${sequence}`
}
