import BeeQueue from 'bee-queue'
import express from 'express'
import start from './bee-queue-app.cjs'

start({ express, BeeQueue })
