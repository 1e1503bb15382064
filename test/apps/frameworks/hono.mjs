import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import start from './hono-app.cjs'

start(Hono, serve)
