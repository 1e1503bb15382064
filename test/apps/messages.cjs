require('./messages-app.cjs')(require('@opentelemetry/api'))
