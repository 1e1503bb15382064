#!/usr/bin/env node
'use strict'
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 15)) {
  console.error(`afterspan: Node 22.15 or newer is needed; this is ${process.version}`)
  process.exit(1)
}
void require('../dist/bundle/cli.js')
  .main(process.argv.slice(2))
  .then((code) => {
    process.exitCode = code
  })
