// Runs whose library stores what they return.
import { isThenable } from '@afterspan/core/internal'

/**
 * Where the result cannot be stored the attempt has failed, and the library finds that out from the result itself. `errorOf`: what
 * storing it will fail by, where that can be seen.
 */
export function whileStorable(
  errorOf: (result: unknown) => unknown,
  attempt: (run: () => unknown) => unknown,
  run: () => unknown,
): unknown {
  let failed: { readonly by: unknown; readonly result: unknown } | undefined
  const judge = (result: unknown): unknown => {
    const error = errorOf(result)
    if (error === undefined) return result
    failed = { by: error, result }
    throw error
  }
  const withResult = (error: unknown): unknown => {
    if (failed?.by === error) return failed?.result
    throw error
  }
  try {
    const result = attempt(() => {
      const returned = run()
      return isThenable(returned) ? Promise.resolve(returned).then(judge) : judge(returned)
    })
    return result instanceof Promise ? result.catch(withResult) : result
  } catch (error) {
    return withResult(error)
  }
}
