import { get, pollUntil } from '@afterspan/testing'

/** The text of the first answer at that address which has the status and holds the text. */
export function untilAnswer(url: string, status: number, text: string, timeoutMs = 20_000): Promise<string> {
  return pollUntil(
    async () => {
      const answer = await get(url)
      return answer.status === status && answer.text.includes(text) && answer.text
    },
    { timeoutMs, what: `${new URL(url).pathname} to be ${status} with ${text}` },
  )
}
