/** An error of ours for what a library or the app did with a message. Its stack would tell of Afterspan alone, so it has none. */
export function failureOf(code: string, message: string): Error {
  const error = Object.assign(new Error(message), { code })
  error.stack = ''
  return error
}

/** What an error of the app's, or whatever it threw, is told by. */
export function wordsOf(error: unknown): { readonly type: string; readonly message: string } {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
  return { type: name, message }
}
