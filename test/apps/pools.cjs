const { Piscina } = require('piscina')
const { Tinypool } = require('tinypool')

require('./pools-app.cjs')({ Piscina, Tinypool })
