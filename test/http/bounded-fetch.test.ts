import { getEventListeners, once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { type BoundedFetch, boundedFetch, failure } from '../../src/http/bounded-fetch.ts'

const MAX = 1000
/** Milliseconds: a test that waits for it in vain is ended by the runner. */
const LONG = 600_000
const NEVER = new AbortController().signal
/** So many that what stays of each is more than what comes and goes in the process. */
const POLLS = 10_000
const TIMED_OUT = { name: 'TimeoutError' }
const TOO_LARGE = { message: `more than ${MAX} bytes` }

/** A server on a real socket. @returns its address, and every request that it saw */
async function serving(t: Test, listener: RequestListener) {
  const requests: IncomingMessage[] = []
  const server = createServer((request, reply) => {
    requests.push(request)
    listener(request, reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a`), requests }
}

const fetched = (url: URL, options: Partial<BoundedFetch> = {}) =>
  boundedFetch(url, { fetch, timeout: LONG, maxBytes: MAX, signal: NEVER, ...options })

/** An endless response. @returns a promise of the number of bytes written when the client disconnects */
function endless(reply: ServerResponse): Promise<number> {
  let written = 0
  const piece = Buffer.alloc(MAX, 'x')
  const write = () => {
    while (!reply.destroyed) {
      written += piece.length
      if (!reply.write(piece)) return void reply.once('drain', write)
    }
  }
  write()
  return once(reply, 'close').then(() => written)
}

t.test('the text of the answer, and the request that was sent', async (t) => {
  const { url, requests } = await serving(t, (_request, reply) => void reply.setHeader('x-y', 'z').end('Grüße'))
  const { status, text, headers } = await fetched(url, { headers: { accept: 'text/plain' }, etag: '"one"' })
  t.same([status, text, headers.get('x-y')], [200, 'Grüße', 'z'])
  t.match(requests[0]?.headers, { accept: 'text/plain', 'if-none-match': '"one"' })
  await fetched(url)
  t.notOk(requests[1]?.headers['if-none-match'])
})

t.test('a server that never answers is left, and one that begins and never ends', async (t) => {
  const listeners: Record<string, RequestListener> = {
    'no answer': () => undefined,
    'no body': (_request, reply) => reply.writeHead(200).flushHeaders(),
    'half a body': (_request, reply) => void reply.writeHead(200, { 'content-length': 10 }).write('half'),
    'half a chunked body': (_request, reply) => void reply.writeHead(200).write('half'),
  }
  for (const [name, listener] of Object.entries(listeners)) {
    const left = Promise.withResolvers<void>()
    const { url, requests } = await serving(t, (request, reply) => {
      reply.on('close', left.resolve)
      listener(request, reply)
    })
    // On a busy machine the time is over before the request has left, and the server never hears of it.
    for (let timeout = 50; requests.length === 0; timeout *= 2)
      await t.rejects(fetched(url, { timeout }), TIMED_OUT, name)
    await left.promise // the server sees it go
  }
})

t.test('a fetch that does not listen to its signal is left too, before the head and within the body', async (t) => {
  const alive = setInterval(() => undefined, LONG) // there is no socket
  t.teardown(() => clearInterval(alive))
  const deaf: (typeof fetch)[] = [() => new Promise(() => undefined), async () => new Response(new ReadableStream())]
  for (const fetch of deaf) {
    await t.rejects(fetched(new URL('http://x'), { timeout: 5, fetch }), TIMED_OUT)
    const closing = new AbortController()
    setImmediate(() => closing.abort(new Error('closing')))
    await t.rejects(fetched(new URL('http://x'), { signal: closing.signal, fetch }), { message: 'closing' })
  }
})

t.test('a signal ends it, before the answer, within it, and before it began', async (t) => {
  const gone = new Error('closing')
  const asked = Promise.withResolvers<void>()
  const silent = await serving(t, () => asked.resolve())
  const first = new AbortController()
  const waiting = t.rejects(fetched(silent.url, { signal: first.signal }), gone)
  await asked.promise
  first.abort(gone)
  await waiting

  const begun = await serving(t, (_request, reply) => void reply.writeHead(200).write('half'))
  const second = new AbortController()
  const answered: typeof fetch = async (...request) => {
    const reply = await fetch(...request)
    setImmediate(() => second.abort(gone)) // the head is there, and the rest will never be
    return reply
  }
  await t.rejects(fetched(begun.url, { signal: second.signal, fetch: answered }), gone)
  await t.rejects(fetched(begun.url, { signal: AbortSignal.abort(gone) }), gone)
  t.equal(begun.requests.length, 1, 'nobody was asked')
})

t.test('nothing stays behind: no listener, no timer, no memory', async (t) => {
  const closing = new AbortController()
  const answers = [
    async () => new Response('x'),
    async () => new Response(null, { status: 500 }),
    () => Promise.reject(),
  ]
  let count = 0
  const stub = () => answers[count++ % 3]?.() as Promise<Response>
  const poll = () => fetched(new URL('http://x'), { signal: closing.signal, fetch: stub }).catch(() => undefined)
  for (let i = 0; i < 3000; i += 1) await poll()
  t.equal(getEventListeners(closing.signal, 'abort').length, 0)
  t.notOk(process.getActiveResourcesInfo().includes('Timeout'))

  setFlagsFromString('--expose-gc')
  const gc: () => void = runInNewContext('gc')
  const idle = () => new Promise((resolve) => setImmediate(resolve))
  const used = async () => {
    for (let i = 0; i < 3; i += 1) {
      await idle()
      gc()
    }
    return process.memoryUsage().heapUsed
  }
  const before = await used()
  for (let i = 0; i < POLLS; i += 1) {
    await poll()
    if (i % 100 === 0) await idle()
  }
  const bytes = ((await used()) - before) / POLLS
  t.ok(bytes < 20, `${bytes.toFixed(1)} bytes stay of each request`)
})

t.test('a time-out that no timer can have is the longest one', async (t) => {
  const { url } = await serving(t, (_request, reply) => void setTimeout(() => reply.end('x'), 20))
  t.equal((await fetched(url, { timeout: 1e12 })).text, 'x')
})

t.test('a redirect is refused, and the other place never asked', async (t) => {
  const other = await serving(t, (_request, reply) => void reply.end('theirs'))
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [other.url.href, '/a', '/b']) {
      const { url, requests } = await serving(t, ({ url }, reply) => {
        // A redirect to the same server: if it were followed, the second request would be answered.
        if (url === '/a' && requests.length === 1) reply.writeHead(status, { location }).end('ours')
        else reply.end('ours')
      })
      const refused = await fetched(url).catch(failure)
      t.match(refused, /^status 30\d: a redirect, and none/, `${status} ${location === '/a' ? 'to itself' : ''}`)
      t.equal(requests.length, 1)
    }
  }
  t.equal(other.requests.length, 0)
})

t.test('a redirect to nowhere, and every other status, is no text', async (t) => {
  for (const status of [201, 204, 206, 300, 304, 400, 404, 429, 500, 503]) {
    const { url } = await serving(t, (_request, reply) => void reply.writeHead(status).end('text'))
    await t.rejects(fetched(url), { message: `status ${status}` })
  }
})

t.test('304 is accepted only when the request named an ETag', async (t) => {
  const { url } = await serving(t, (_request, reply) => void reply.writeHead(304, { etag: '"one"' }).end())
  await t.rejects(fetched(url), { message: 'status 304' })
  const { status, text, headers } = await fetched(url, { etag: '"one"' })
  t.same([status, text, headers.get('etag')], [304, '', '"one"'])
})

t.test('a body of the maximum size is read, one byte more is refused, announced or not', async (t) => {
  for (const announced of [true, false]) {
    const { url } = await serving(t, (request, reply) => {
      const body = 'x'.repeat(Number(request.headers['x-size']))
      if (announced) reply.setHeader('content-length', body.length)
      else reply.write('') // the head goes alone: the body is chunked
      reply.end(body)
    })
    const sized = (size: number) => fetched(url, { headers: { 'x-size': String(size) } })
    t.equal((await sized(MAX)).text.length, MAX)
    t.equal((await sized(0)).text, '')
    await t.rejects(sized(MAX + 1), TOO_LARGE)
  }
})

t.test('what is too large is not read to its end: the server sees the connection close', async (t) => {
  for (const announced of [true, false]) {
    const closed = Promise.withResolvers<number>()
    const { url } = await serving(t, (_request, reply) => {
      reply.writeHead(200, announced ? { 'content-length': 2 ** 40 } : {})
      closed.resolve(endless(reply))
    })
    await t.rejects(fetched(url), TOO_LARGE)
    const written = await closed.promise
    t.ok(written < 2 ** 26, `${written} bytes went out, most of them into buffers`)
  }
})

t.test('an error of any size is not read either', async (t) => {
  const closed = Promise.withResolvers<number>()
  const { url } = await serving(t, (_request, reply) => {
    reply.writeHead(500)
    closed.resolve(endless(reply))
  })
  await t.rejects(fetched(url), { message: 'status 500' })
  t.ok((await closed.promise) < 2 ** 26)
})

t.test('bytes are counted as they are after decompression', async (t) => {
  const { gzipSync } = await import('node:zlib')
  const bomb = gzipSync(Buffer.alloc(10 * MAX))
  t.ok(bomb.length < MAX)
  const { url } = await serving(t, (_request, reply) => void reply.setHeader('content-encoding', 'gzip').end(bomb))
  await t.rejects(fetched(url), TOO_LARGE)
})

t.test('bytes that are not UTF-8 are refused, and a character split across two chunks is read', async (t) => {
  for (const bytes of [[0xff], [0x7b, 0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
    const { url } = await serving(t, (_request, reply) => void reply.end(Buffer.from(bytes)))
    await t.rejects(fetched(url), { name: 'TypeError', code: 'ERR_ENCODING_INVALID_ENCODED_DATA' }, String(bytes))
  }
  const letter = Buffer.from('ü')
  const { url } = await serving(t, (_request, reply) => {
    reply.write(letter.subarray(0, 1))
    setImmediate(() => reply.end(letter.subarray(1)))
  })
  t.equal((await fetched(url)).text, 'ü')
})

t.test('an answer that is cut off is an error', async (t) => {
  const { url } = await serving(t, (_request, reply) => {
    reply.writeHead(200, { 'content-length': 10 })
    reply.write('half', () => reply.destroy())
  })
  t.match(await fetched(url).catch(failure), /terminated|other side closed/)
})
