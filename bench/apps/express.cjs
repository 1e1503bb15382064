// A plain Express app; its parent asks for CPU and memory over IPC.
const express = require('express')
const { tellUsage } = require('./usage.cjs')
const app = express()
app.get('/plain/:id', (req, res) => {
  res.json({ id: req.params.id })
})
tellUsage(app.listen(0, '127.0.0.1'))
