import { FlowProducer, Queue, Worker } from 'bullmq'
import express from 'express'
import start from './bullmq-app.cjs'

start({ express, FlowProducer, Queue, Worker })
