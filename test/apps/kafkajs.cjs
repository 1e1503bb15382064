const express = require('express')
const { Kafka, Partitioners } = require(process.env.LIBRARY ?? 'kafkajs')

require('./kafkajs-app.cjs')({ express, Kafka, Partitioners })
