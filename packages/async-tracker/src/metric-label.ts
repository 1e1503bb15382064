const MOST_CHARACTERS = 200

/** What stands in a label: text of the app's, such as the name of a queue, of whatever length. The beginning of a long one tells enough. */
export function labelOf(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text
}
