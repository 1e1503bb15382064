// Columns for a terminal: what is wide there counts as two, and what is cut is cut between characters, not within one.
const WIDE =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|\ufe0f/u
const NO_WIDTH = /^[\p{Mark}\p{Format}]+$/u
const MOST_COLUMNS = 60

const characters = new Intl.Segmenter()

/** Lines of cells below each other; the first line has the names. */
export function textTable(lines: readonly (readonly string[])[]): string {
  const cells = lines.map((line) => line.map(cut))
  const widths = lines[0]!.map((_, i) => Math.max(...cells.map((line) => line[i]!.width)))
  return cells
    .map((line) =>
      line
        .map(({ text, width }, i) => text + ' '.repeat(widths[i]! - width))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

interface Cell {
  readonly text: string
  readonly width: number
}

function cut(whole: string): Cell {
  let text = ''
  let width = 0
  // Not more than can be shown is looked at.
  for (const { segment } of characters.segment(whole.slice(0, MOST_COLUMNS * 16))) {
    const more = NO_WIDTH.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1
    if (width + more > MOST_COLUMNS) break
    text += segment
    width += more
  }
  return { text, width }
}
