throw new RangeError('at the top of a module')
