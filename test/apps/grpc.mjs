import * as grpc from '@grpc/grpc-js'
import { health } from 'afterspan'
import start from './grpc-app.cjs'

start(grpc, health)
