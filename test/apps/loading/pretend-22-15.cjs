Object.defineProperty(process.versions, 'node', { value: '22.15.0' })
Object.defineProperty(process, 'version', { value: 'v22.15.0' })
