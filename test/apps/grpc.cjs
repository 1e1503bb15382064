require('./grpc-app.cjs')(require('@grpc/grpc-js'), require('afterspan').health)
