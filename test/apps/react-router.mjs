import { createRequestHandler } from 'react-router'
import start from './react-router-app.cjs'

start({ createRequestHandler })
