const express = require('express')
const { createClient } = require('redis')

void require('./redis-streams-app.cjs')({ express, Redis: require('./redis-streams-node-app.cjs')({ createClient }) })
