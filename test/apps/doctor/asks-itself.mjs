// Asks for the preload in its own code: too late for express, which is before it, and for hono, an ES module that is loaded already.
import 'express'
import 'afterspan/register'
import 'hono'
import pg from 'pg'

new pg.Pool()
