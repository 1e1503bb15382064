require('./queues-app.cjs')({
  fastq: require('fastq'),
  async: require('async'),
  asyncQueue: require('async/queue'),
  Bottleneck: require('bottleneck'),
  AsyncLock: require('async-lock'),
  DataLoader: require('dataloader'),
  mysql2: require('mysql2'),
  lodash: require('lodash'),
  debounceFile: require('lodash/debounce'),
  rxjs: require('rxjs'),
})
