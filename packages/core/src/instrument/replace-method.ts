type Method = (this: any, ...args: any[]) => unknown
const replacements = new WeakSet<object>()

/** Replaces a method in place, once, whichever module format brought its class; name, length and own properties stay. */
export function replaceMethod(target: any, method: PropertyKey, replace: (original: Method) => Method): void {
  const original = target?.[method] as Method | undefined
  if (typeof original !== 'function' || replacements.has(original)) return
  const replacement = copyNature(original, replace(original))
  replacements.add(replacement)
  putMethod(target, method, replacement)
}

/** As a class has its methods, hidden from a loop over the object; one that was not stays seen. */
export function putMethod(target: object, method: PropertyKey, value: unknown): void {
  const enumerable = Object.getOwnPropertyDescriptor(target, method)?.enumerable ?? false
  Object.defineProperty(target, method, { configurable: true, enumerable, writable: true, value })
}

/** The object itself, or the first of its prototypes that has this as its own. */
export function ownerOf(object: unknown, key: PropertyKey): object | undefined {
  for (let at = object; typeof at === 'object' && at !== null; at = Object.getPrototypeOf(at))
    if (Object.hasOwn(at, key)) return at
  return undefined
}

/** Name, length and own properties of a function, for the one that stands in its place. */
export function copyNature<T extends object>(from: object, to: T): T {
  return Object.defineProperties(to, Object.getOwnPropertyDescriptors(from))
}
