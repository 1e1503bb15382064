const { Piscina } = require('piscina')
const { FixedThreadPool } = require('poolifier')
const { Tinypool } = require('tinypool')
const workerpool = require('workerpool')

require('./pools-app.cjs')({ Piscina, Tinypool, workerpool, FixedThreadPool })
