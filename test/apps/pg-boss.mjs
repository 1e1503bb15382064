import express from 'express'
import { PgBoss } from 'pg-boss'
import start from './pg-boss-app.cjs'

await start({ express, PgBoss })
