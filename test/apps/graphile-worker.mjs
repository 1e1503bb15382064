import express from 'express'
import * as graphile from 'graphile-worker'
import start from './graphile-worker-app.cjs'

await start({ express, graphile })
