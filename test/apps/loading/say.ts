const said: string = 'said'
console.log(said)
