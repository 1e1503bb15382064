import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import express from 'express'
import start from './platformatic-kafka-app.cjs'

start({ express, Consumer, Producer, stringDeserializers, stringSerializers })
