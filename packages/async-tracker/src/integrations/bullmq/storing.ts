// What a processor returns is stored as JSON. Where that cannot be, BullMQ fails the job and tries it again, though the processor has
// done its work.
import { isObject } from '../sending/bag.ts'

/** A large result is not looked through for this. */
const MOST_VALUES = 1_000
const DEEPEST = 50

/** What storing the result will fail by, where that can be seen. */
export function storingError(result: unknown): unknown {
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
