type Method = (...args: unknown[]) => unknown

/** Puts a method over an object's own or inherited one, on this object alone and not enumerable. A throw in `make`, or an object that takes none, leaves it as it was. */
export function hideOver<T extends object, K extends keyof T & string, A extends unknown[]>(
  target: T,
  method: K,
  make: (original: Method) => (...args: A) => unknown,
): void {
  try {
    const original = target[method]
    if (typeof original !== 'function') return
    Object.defineProperty(target, method, {
      value: make(original as Method),
      configurable: true,
      enumerable: false,
      writable: true,
    })
  } catch {
    // a frozen or exotic handle: then it is not followed
  }
}
