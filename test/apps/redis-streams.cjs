const express = require('express')
const { Redis } = require('ioredis')

require('./redis-streams-app.cjs')({ express, Redis })
