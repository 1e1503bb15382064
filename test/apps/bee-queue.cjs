const BeeQueue = require(process.env.LIBRARY ?? 'bee-queue')
const express = require('express')

require('./bee-queue-app.cjs')({ express, BeeQueue })
