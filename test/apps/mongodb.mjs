import express from 'express'
import { MongoClient } from 'mongodb'
import start from './mongodb-app.cjs'

await start({ express, MongoClient })
