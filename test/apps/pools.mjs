import { Piscina } from 'piscina'
import Tinypool from 'tinypool'
import run from './pools-app.cjs'

run({ Piscina, Tinypool })
