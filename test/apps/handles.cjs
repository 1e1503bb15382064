require('./handles-app.cjs')({ ...require('node:child_process'), ...require('node:worker_threads') })
