// Runs aedes, installed in the directory given, on a loopback port: node aedes.mjs DIRECTORY PORT
import { createRequire } from 'node:module'
import net from 'node:net'
import { pathToFileURL } from 'node:url'

const [directory, port] = process.argv.slice(2)
// An import looks beside this file; aedes is elsewhere.
const entry = createRequire(`${directory}/`).resolve('aedes')
const { Aedes } = await import(pathToFileURL(entry).href)
const broker = await Aedes.createBroker()
net.createServer(broker.handle).listen(Number(port), '127.0.0.1', () => console.log('listening'))
