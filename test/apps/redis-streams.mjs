import express from 'express'
import Redis from 'ioredis'
import start from './redis-streams-app.cjs'

void start({ express, Redis })
