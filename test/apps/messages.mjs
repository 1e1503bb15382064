import * as api from '@opentelemetry/api'
import start from './messages-app.cjs'

start(api)
