import { serve } from '@hono/node-server'
import { Hono as Quick } from 'hono/quick'
import { Hono as Tiny } from 'hono/tiny'
import start from './hono-presets-app.cjs'

start([Tiny, Quick], serve)
