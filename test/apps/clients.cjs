const express = require('express')
const { Redis } = require('ioredis')
const pg = require('pg')

require('./clients-app.cjs')({ express, pg, Redis })
