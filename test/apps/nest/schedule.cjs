// NEST=10: the oldest version that is followed. ROLE=watch only looks after the ledger.
const { nest } = require('./versions.cjs')

if (process.env.ROLE === 'watch') setInterval(() => {}, 1000)
else void require('./schedule-app.cjs')(nest('common', 'core', 'schedule'))
