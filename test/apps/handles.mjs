import { exec, execFile, fork, spawn } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import start from './handles-app.cjs'

start({ Worker, exec, execFile, fork, spawn })
