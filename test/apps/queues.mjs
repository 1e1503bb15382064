import AsyncLock from 'async-lock'
import * as async from 'async'
import asyncQueue from 'async/queue.js'
import Bluebird from 'bluebird'
import Bottleneck from 'bottleneck'
import DataLoader from 'dataloader'
import fastq from 'fastq'
import lodash from 'lodash'
import debounceFile from 'lodash/debounce.js'
import debounceModule from 'lodash-es/debounce.js'
import mysql2 from 'mysql2'
import * as rxjs from 'rxjs'
import run from './queues-app.cjs'

run({
  fastq,
  async,
  asyncQueue,
  Bottleneck,
  AsyncLock,
  DataLoader,
  Bluebird,
  mysql2,
  lodash,
  debounceFile,
  debounceModule,
  rxjs,
})
