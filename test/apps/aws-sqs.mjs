import * as sdk from '@aws-sdk/client-sqs'
import express from 'express'
import start from './aws-sqs-app.cjs'

start({ express, sdk })
