/** Milliseconds that one experiment may take by which a probe finds out whether a restart would help. */
export const CONTROL_MS = 2000
