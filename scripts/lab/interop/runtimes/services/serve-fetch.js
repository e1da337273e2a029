import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

/** A server of Node in front of a function with the arguments of `fetch`. It passes on every header line. */
export function serveFetch(dispatch) {
  const server = createServer(async (incoming, outgoing) => {
    const { method, url, rawHeaders } = incoming
    const headers = []
    for (let i = 0; i < rawHeaders.length; i += 2) headers.push([rawHeaders[i], rawHeaders[i + 1]])
    const body = method === 'POST' ? await text(incoming) : undefined
    try {
      const response = await dispatch(`http://localhost${url}`, { method, headers, body })
      outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text())
    } catch (error) {
      console.error(error)
      outgoing.writeHead(500).end()
    }
  })
  server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
}
