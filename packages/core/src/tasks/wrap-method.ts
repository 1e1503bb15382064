import { copyNature, putMethod } from '../instrument/replace-method.ts'

/** Replaces a method, keeping name, length and own properties. Where the replacement cannot be made the method stays as it was. */
export function wrapMethod<T extends object, K extends keyof T & string>(
  target: T,
  method: K,
  replace: (original: T[K]) => T[K],
  onError: (error: unknown) => void,
): void {
  try {
    const original = target[method]
    if (typeof original !== 'function') return
    putMethod(target, method, copyNature(original, replace(original) as T[K] & object))
  } catch (error) {
    onError(error)
  }
}
