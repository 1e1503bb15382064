require('express')
require('pg')
