const Bull = require(process.env.LIBRARY ?? 'bull')
const express = require('express')

require('./bull-app.cjs')({ express, Bull })
