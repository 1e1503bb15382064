import { connect } from 'amqplib'
import express from 'express'
import start from './rabbitmq-app.cjs'

await start({ express, connect })
