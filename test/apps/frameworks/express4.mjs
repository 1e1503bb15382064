import express from 'express4'
import start from './express-app.cjs'

start(express)
