// @ts-expect-error -- express brings no types, and needs none here
import express from 'express'
// @ts-expect-error -- plain JavaScript
import start from '../express-app.cjs'

const app: unknown = start(express)
export default app
