setInterval(() => {}, 1_000)
console.log('said', Boolean(globalThis[Symbol.for('afterspan/1')]?.booted))
