import postgres from 'postgres'
import start from './postgres-js-app.cjs'

start({ postgres })
