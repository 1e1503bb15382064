import Bull from 'bull'
import express from 'express'
import start from './bull-app.cjs'

start({ express, Bull })
