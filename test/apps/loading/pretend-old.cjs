Object.defineProperty(process.versions, 'node', { value: '18.20.8' })
Object.defineProperty(process, 'version', { value: 'v18.20.8' })
