import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Collected {
  readonly path: string
  readonly body: string
}

/** An OTLP receiver: takes every POST and keeps it. @param silent true for one that never answers */
export async function startCollector(t: Test, { silent = false } = {}): Promise<{ url: string; posts: Collected[] }> {
  const posts: Collected[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    posts.push({ path: request.url ?? '', body: Buffer.concat(chunks).toString('utf8') })
    if (!silent) response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, posts }
}
