import express from 'express'
import { createClient } from 'redis'
import start from './redis-streams-app.cjs'
import nodeRedis from './redis-streams-node-app.cjs'

await start({ express, Redis: nodeRedis({ createClient }) })
