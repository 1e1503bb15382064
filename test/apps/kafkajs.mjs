import express from 'express'
import { Kafka, Partitioners } from 'kafkajs'
import start from './kafkajs-app.cjs'

start({ express, Kafka, Partitioners })
