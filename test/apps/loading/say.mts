import { sep } from 'node:path'
const said: string = `said ${sep}`
console.log(said)
