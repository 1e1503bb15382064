import * as afterspan from 'afterspan'
import start from './reports-app.cjs'

start(afterspan)
