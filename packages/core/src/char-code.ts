const { charCodeAt } = String.prototype

/** `text.charCodeAt(at)`, for loops over characters. V8 keeps strings in many shapes (whole, sliced, joined, shared …); where more than four of them have come by, it looks the method up again for every character, which makes a loop four times as slow. */
export function codeAt(text: string, at: number): number {
  return charCodeAt.call(text, at)
}
