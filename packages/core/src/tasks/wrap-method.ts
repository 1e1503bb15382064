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
    const replacement = replace(original)
    Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original as object & { length?: number }))
    const descriptor = Object.getOwnPropertyDescriptor(target, method)
    Object.defineProperty(target, method, {
      configurable: true,
      enumerable: descriptor?.enumerable ?? false,
      writable: true,
      value: replacement,
    })
  } catch (error) {
    onError(error)
  }
}
