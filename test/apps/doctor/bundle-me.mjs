import express from 'express'

console.log('loaded', typeof express())
