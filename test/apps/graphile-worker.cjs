const express = require('express')
const graphile = require(process.env.LIBRARY ?? 'graphile-worker')

void require('./graphile-worker-app.cjs')({ express, graphile })
