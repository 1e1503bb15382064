/** An error of ours for what a library or the app did with a message. Its stack would tell of Afterspan alone, so it has none. */
export function failureOf(code: string, message: string): Error {
  const error = Object.assign(new Error(message), { code })
  error.stack = ''
  return error
}
