// Runs whose library stores what they return, as JSON. Where that cannot be, it fails the job and tries it again, though the processor has
// done its work.
import { isThenable } from '@afterspan/core/internal'
import { isObject } from '../sending/bag.ts'

/**
 * Where the result cannot be stored the attempt has failed, and the library finds that out from the result itself. `errorOf`: what else
 * a run has failed by that has returned.
 */
export function whileStorable(
  attempt: (run: () => unknown) => unknown,
  run: () => unknown,
  errorOf?: () => unknown,
): unknown {
  let failed: { readonly by: unknown; readonly result: unknown } | undefined
  const judge = (result: unknown): unknown => {
    const error = errorOf?.() ?? storingError(result)
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

/** A large result is not looked through for this. */
const MOST_VALUES = 1_000
const DEEPEST = 50

/** What storing the result will fail by, where that can be seen. */
function storingError(result: unknown): unknown {
  if (!isObject(result) && typeof result !== 'bigint') return undefined
  try {
    if (isStorable(result)) return undefined
  } catch {
    return undefined
  }
  try {
    JSON.stringify(result)
    return undefined
  } catch (error) {
    return error
  }
}

/** Neither holds itself nor a bigint, as far as is looked. Getters are the app's and are not called. */
function isStorable(result: unknown): boolean {
  let left = MOST_VALUES
  const above: object[] = []
  const isWell = (value: unknown): boolean => {
    if (left-- <= 0) return true
    if (typeof value === 'bigint') return false
    if (!isObject(value) || typeof value['toJSON'] === 'function') return true
    if (above.includes(value) || above.length >= DEEPEST) return false
    above.push(value)
    for (const key of Object.keys(value)) {
      if (left <= 0) break
      if (!isWell(Object.getOwnPropertyDescriptor(value, key)?.value)) return false
    }
    above.pop()
    return true
  }
  return isWell(result)
}
