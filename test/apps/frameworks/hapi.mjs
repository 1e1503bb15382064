import { server } from '@hapi/hapi'
import start from './hapi-app.cjs'

await start(server)
