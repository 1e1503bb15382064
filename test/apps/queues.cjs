require('./queues-app.cjs')({
  fastq: require('fastq'),
  async: require('async'),
  asyncQueue: require('async/queue'),
  Bottleneck: require('bottleneck'),
  AsyncLock: require('async-lock'),
  DataLoader: require('dataloader'),
  Bluebird: require('bluebird'),
  mysql2: require('mysql2'),
  lodash: require('lodash'),
  debounceFile: require('lodash/debounce'),
  // It imports that of debounce(), which a `require` of its own would not show.
  debounceModule: require('lodash-es/throttle.js').default,
  rxjs: require('rxjs'),
})
