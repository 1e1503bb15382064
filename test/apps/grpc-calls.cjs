require('./grpc-calls-app.cjs')(require('@grpc/grpc-js'))
