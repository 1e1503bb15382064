import express from 'express'
import { Redis } from 'ioredis'
import pg from 'pg'
import start from './clients-app.cjs'

start({ express, pg, Redis })
