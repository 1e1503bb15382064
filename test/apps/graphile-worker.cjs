const express = require('express')
const graphile = require('graphile-worker')

void require('./graphile-worker-app.cjs')({ express, graphile })
