/** Where an error was put. */
export type LogSource = 'console' | 'log'

/** What can be told of an error that was logged: of itself, or of the text of its stack. */
export interface LoggedError {
  readonly name: string
  readonly message: string
  readonly stack?: string | undefined
}
