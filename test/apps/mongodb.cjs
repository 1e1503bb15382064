const { MongoClient } = require(process.env.LIBRARY ?? 'mongodb')
const express = require('express')

void require('./mongodb-app.cjs')({ express, MongoClient })
