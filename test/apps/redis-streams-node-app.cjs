// What redis-streams-app.cjs asks of ioredis, by node-redis: single commands, and several in MULTI.
module.exports = ({ createClient }) =>
  class {
    constructor({ host, port }) {
      this.client = createClient({ socket: { host, port } })
      this.client.on('error', () => {})
      this.connected = this.client.connect()
    }
    async xgroup(_, stream, group, from) {
      await this.connected
      return this.client.xGroupCreate(stream, group, from, { MKSTREAM: true })
    }
    xadd(stream, id, field, value) {
      return this.client.xAdd(stream, id, { [field]: value })
    }
    pipeline() {
      const batch = this.client.multi()
      return {
        xadd: (stream, id, field, value) => batch.xAdd(stream, id, { [field]: value }),
        exec: () => batch.exec(),
      }
    }
    xack(stream, group, id) {
      return this.client.xAck(stream, group, id)
    }
    async xautoclaim(stream, group, consumer, idleMs, from, _, count) {
      const { nextId, messages } = await this.client.xAutoClaim(stream, group, consumer, idleMs, from, { COUNT: count })
      return [nextId, messages.filter(Boolean).map(asEntry)]
    }
    async xreadgroup(_, group, consumer, __, count, ___, blockMs, ____, stream, id) {
      const found = await this.client.xReadGroup(group, consumer, { key: stream, id }, { COUNT: count, BLOCK: blockMs })
      return found?.map(({ name, messages }) => [name, messages.map(asEntry)])
    }
  }

function asEntry({ id, message }) {
  return [id, Object.entries(message).flat()]
}
