import { setTimeout as moduleTimeout } from 'node:timers'
import { setTimeout as sleep } from 'node:timers/promises'
import start from './late-timers-app.cjs'

start({ sleep, moduleTimeout })
