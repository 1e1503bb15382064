import grpc from '@grpc/grpc-js'
import start from './grpc-calls-app.cjs'

start(grpc)
