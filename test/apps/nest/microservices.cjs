const { nest } = require('./versions.cjs')

void require('./microservices-app.cjs')({ ...nest('common', 'core', 'microservices'), rxjs: require('rxjs') })
