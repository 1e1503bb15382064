import AsyncLock from 'async-lock'
import * as async from 'async'
import asyncQueue from 'async/queue.js'
import Bottleneck from 'bottleneck'
import DataLoader from 'dataloader'
import fastq from 'fastq'
import mysql2 from 'mysql2'
import run from './queues-app.cjs'

run({ fastq, async, asyncQueue, Bottleneck, AsyncLock, DataLoader, mysql2 })
