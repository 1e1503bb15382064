const { promisify } = require('node:util')
const { connect } = require(`${process.env.LIBRARY ?? 'amqplib'}/callback_api`)
const express = require('express')

void require('./rabbitmq-app.cjs')({ express, connect: async (url) => promised(await promisify(connect)(url)) })

/** The callback face, as far as the app waits for it, with promises. */
function promised(connection) {
  const open = async (method) => {
    const channel = await promisify(connection[method]).call(connection)
    const { assertQueue, consume, prefetch } = channel
    return Object.assign(channel, {
      assertQueue: (queue, options) => promisify(assertQueue).call(channel, queue, options ?? {}),
      consume: (queue, handler) => promisify(consume).call(channel, queue, handler, {}),
      prefetch: (count) => promisify(prefetch).call(channel, count, false),
    })
  }
  return { createChannel: () => open('createChannel'), createConfirmChannel: () => open('createConfirmChannel') }
}
