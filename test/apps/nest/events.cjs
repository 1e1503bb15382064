const { nest } = require('./versions.cjs')

void require('./events-app.cjs')(nest('common', 'core', 'event-emitter'))
