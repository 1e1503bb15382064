require('./lesser-app.cjs')({ connect: require('connect'), polka: require('polka'), restify: require('restify') })
