import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { stream, streamSSE, streamText } from 'hono/streaming'
import start from './hono-stream-app.cjs'

start({ serve, Hono, stream, streamSSE, streamText })
