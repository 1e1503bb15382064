import connect from 'connect'
import polka from 'polka'
import restify from 'restify'
import start from './lesser-app.cjs'

start({ connect, polka, restify })
