const express = require('express')
const { Kafka, Partitioners } = require('kafkajs')

require('./kafkajs-app.cjs')({ express, Kafka, Partitioners })
