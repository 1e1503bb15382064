import zero from '0http'
import * as elysiaNode from '@elysiajs/node'
import { ORPCError, os } from '@orpc/server'
import { RPCHandler } from '@orpc/server/node'
import { createServerAdapter } from '@whatwg-node/server'
import { Elysia } from 'elysia'
import findMyWay from 'find-my-way'
import * as h3 from 'h3'
import { AutoRouter } from 'itty-router'
import moleculer from 'moleculer'
import moleculerWeb from 'moleculer-web'
import restana from 'restana'
import start from './silent-app.cjs'

start({
  findMyWay,
  zero,
  restana,
  itty: { AutoRouter },
  whatwg: { createServerAdapter },
  elysia: { Elysia },
  elysiaNode,
  moleculer,
  moleculerWeb,
  orpc: { ORPCError, os, RPCHandler },
  h3,
})
