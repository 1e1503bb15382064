// What the demo says, and what it checks. A claim that is not so is named at once and again at the end.
const started = performance.now()
const isTerminal = process.stdout.isTTY
const paint = (code, text) => (isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text)
const broken = []

export function chapter(title) {
  console.log(`\n${paint(1, `── ${title} `)}${paint(2, '─'.repeat(Math.max(0, 76 - title.length)))}`)
}

export function say(text) {
  console.log(text)
}

/** A line of progress: what is being waited for. */
export function progress(text) {
  console.log(paint(2, `   [${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`))
}

export function block(text) {
  console.log(text.trimEnd().replace(/^/gm, '   '))
}

export function claim(isSo, text) {
  console.log(isSo ? `   ${paint(32, '✓')} ${text}` : `   ${paint(31, '✗ NOT SO:')} ${text}`)
  if (!isSo) broken.push(text)
}

/** Asks again until the answer will do; after the deadline the last answer is what there is. */
export async function until(ask, isEnough, seconds = 20) {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (isEnough(answer) || performance.now() > deadline) return answer
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

/** How many claims were not so; each is named. */
export function verdict() {
  if (broken.length === 0) say(`\nEverything shown is so (${((performance.now() - started) / 1000).toFixed(0)} s).`)
  else
    console.error(
      `\n${broken.length} of the demo's claims are not so:\n${broken.map((text) => `  ✗ ${text}`).join('\n')}`,
    )
  return broken.length
}
