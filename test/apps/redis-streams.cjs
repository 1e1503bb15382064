const express = require('express')
const { Redis } = require('ioredis')

void require('./redis-streams-app.cjs')({ express, Redis })
