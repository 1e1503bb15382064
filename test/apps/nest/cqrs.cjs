const { nest } = require('./versions.cjs')

void require('./cqrs-app.cjs')({ ...nest('common', 'core', 'cqrs'), rxjs: require('rxjs') })
