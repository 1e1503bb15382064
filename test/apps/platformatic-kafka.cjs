const express = require('express')
const kafka = require('@platformatic/kafka')

require('./platformatic-kafka-app.cjs')({ express, ...kafka })
