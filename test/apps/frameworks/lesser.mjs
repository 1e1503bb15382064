import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'
import connect from 'connect'
import { buildSchema, graphql } from 'graphql'
import polka from 'polka'
import restify from 'restify'
import { initTRPC, TRPCError } from '@trpc/server'
import { createHTTPHandler } from '@trpc/server/adapters/standalone'
import start from './lesser-app.cjs'

start({
  connect,
  polka,
  restify,
  trpc: { initTRPC, TRPCError, createHTTPHandler },
  graphql: { buildSchema, graphql },
  apollo: { ApolloServer, startStandaloneServer },
})
