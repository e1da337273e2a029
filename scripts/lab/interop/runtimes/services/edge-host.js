// Starts the edge runtime with the bundle of edge.js. Its own server would drop the second of two Authorization lines.
import { readFileSync } from 'node:fs'
import { EdgeRuntime } from 'edge-runtime'
import { serveFetch } from './serve-fetch.js'

const runtime = new EdgeRuntime({ initialCode: readFileSync(process.env.BUNDLE, 'utf8') })

serveFetch((url, init) => runtime.dispatchFetch(url, init))
