const { FlowProducer, Queue, Worker } = require(process.env.LIBRARY ?? 'bullmq')
const express = require('express')

require('./bullmq-app.cjs')({ express, FlowProducer, Queue, Worker })
