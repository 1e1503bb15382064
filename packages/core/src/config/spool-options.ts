import { integer, text } from './option.ts'

/** Where what has not been delivered waits: of core alone, and of all that builds on it. */
export const spoolOptions = {
  ledgerDir: text(
    'AFTERSPAN_LEDGER_DIR',
    'Folder of the journals, the embedded ledger, and of what waits for a collector; one for all services of a user on a host. Default: $XDG_STATE_HOME/afterspan, else $STATE_DIRECTORY/afterspan (of systemd), else ~/.local/state/afterspan. In one that several users may write to, as a volume of Kubernetes, ledger-<uid> is taken.',
  ),
  spoolMegabytes: integer(
    'AFTERSPAN_SPOOL_MB',
    'Most megabytes of spans that wait on disk for a collector that is away; beyond them the oldest go first, errors last.',
    64,
    { min: 1, max: 100_000 },
  ),
}
