// An app that starts OpenTelemetry's own SDK, as many tutorials say.
const { NodeSDK } = require('@opentelemetry/sdk-node')
new NodeSDK({ instrumentations: [] }).start()
require('../express-app.cjs')(require('express'))
