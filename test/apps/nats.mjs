import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import express from 'express'
import start from './nats-app.cjs'

const join = async (servers) => {
  const connection = await connect({ servers })
  return { client: jetstream(connection), manager: await jetstreamManager(connection) }
}
await start({ express, join })
