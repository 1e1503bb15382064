import { NodeSDK } from '@opentelemetry/sdk-node'
import express from 'express'
import start from '../express-app.cjs'

new NodeSDK({ instrumentations: [] }).start()
start(express)
