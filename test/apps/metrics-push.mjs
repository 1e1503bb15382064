import * as api from '@opentelemetry/api'
import start from './metrics-push-app.cjs'

start(api)
