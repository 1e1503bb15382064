import type { Client, Command } from './shapes.ts'

/** Sends the command, and looks at its reply. `unit`: what it is written with, a pipeline or its client. */
export type Step = (client: Client, command: Command, send: () => unknown, unit: object) => unknown
