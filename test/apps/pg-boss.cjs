const { PgBoss } = require('pg-boss')
const express = require('express')

require('./pg-boss-app.cjs')({ express, PgBoss })
