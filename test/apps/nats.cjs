const { connect } = require(process.env.LIBRARY ?? 'nats')
const express = require('express')

const join = async (servers) => {
  const connection = await connect({ servers })
  return { client: connection.jetstream(), manager: await connection.jetstreamManager() }
}
void require('./nats-app.cjs')({ express, join })
