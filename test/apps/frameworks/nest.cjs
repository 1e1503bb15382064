void require('./nest-app.cjs')(require('@nestjs/common'), require('@nestjs/core'))
