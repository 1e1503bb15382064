const { Queue, Worker } = require('bullmq')
const express = require('express')

require('./bullmq-app.cjs')({ express, Queue, Worker })
