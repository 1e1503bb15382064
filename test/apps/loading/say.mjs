import { sep } from 'node:path'
console.log('said', sep)
