const { PgBoss } = require('pg-boss')
const express = require('express')

void require('./pg-boss-app.cjs')({ express, PgBoss })
