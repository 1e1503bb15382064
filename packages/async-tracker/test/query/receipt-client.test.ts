import type { Server } from 'node:http'
import { expect, test, vi } from 'vitest'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { askReceipt } from '../../src/query/receipt-client.ts'
import { serveSocket } from '../../src/query/socket.ts'

const TRACE = '0'.repeat(31) + '1'

test('where nobody patrols yet somebody is called, once, and asked as soon as he is there', async () => {
  const dir = tempDir('receipt')
  const servers: Promise<Server>[] = []
  const begin = vi.fn<() => void>(() => {
    servers.push(serveSocket(dir, async (path) => ({ status: 200, body: { asked: path } })))
  })
  expect(await askReceipt(dir, TRACE, begin)).toEqual({ asked: `/receipt/${TRACE}` })
  expect(await askReceipt(dir, TRACE, begin)).toEqual({ asked: `/receipt/${TRACE}` })
  expect(begin).toHaveBeenCalledTimes(1)
  for (const server of await Promise.all(servers)) server.close()
})

test('where nobody comes it rejects, and says so', async () => {
  const dir = tempDir('receipt')
  await expect(askReceipt(dir, TRACE, () => {})).rejects.toThrow(`nobody patrols ${dir}`)
})
