const express = require('express')
const kafka = require(process.env.LIBRARY ?? '@platformatic/kafka')

require('./platformatic-kafka-app.cjs')({ express, ...kafka })
