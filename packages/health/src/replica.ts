/** Whether a host's name says that it serves reads: the words by which operators and clouds name the read-only side of a database. */
export function namesReplica(host: string): boolean {
  return /(?:^|[.-])(?:ro|replicas?|read|reader|readonly|standby|secondary|slave)\d*(?:[.-]|$)/i.test(host)
}
