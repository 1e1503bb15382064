require('./metrics-push-app.cjs')(require('@opentelemetry/api'))
