import { greet } from './greet.js'

console.log(greet(process.argv[2] ?? 'world'), VERSION, process.env.NODE_ENV)
