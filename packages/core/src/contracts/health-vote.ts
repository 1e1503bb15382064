/** What one instance of a service sees of what it shares with the others, by the names of checks. Plain data: it crosses processes. */
export interface HealthView {
  readonly down: readonly string[]
  readonly up: readonly string[]
}

/** The view of this instance, for the others to see. */
export interface HealthVote extends HealthView {
  readonly service: string
  /** Of one process, and of no other one. */
  readonly instance: string
}
