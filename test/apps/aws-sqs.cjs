const sdk = require('@aws-sdk/client-sqs')
const express = require('express')

require('./aws-sqs-app.cjs')({ express, sdk })
