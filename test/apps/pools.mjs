import { Piscina } from 'piscina'
import { FixedThreadPool } from 'poolifier'
import Tinypool from 'tinypool'
import workerpool from 'workerpool'
import run from './pools-app.cjs'

run({ Piscina, Tinypool, workerpool, FixedThreadPool })
