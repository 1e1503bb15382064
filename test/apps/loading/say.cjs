console.log('said', Boolean(globalThis[Symbol.for('afterspan/1')]?.booted))
