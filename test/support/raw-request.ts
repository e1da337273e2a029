import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 when there is none: the server ended the connection, or waits for more. */
  readonly statusCode: number
  /** Values by name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A server that waits for more than it was sent. */
const TIMEOUT_MS = 20_000

/**
 * Sends bytes as they are over a socket of their own, because clients repair or refuse the lines of an attack.
 *
 * @param lines request line and header lines in Latin-1; Host, Connection and Content-Length are added
 * @returns the answer. Its body is as it came, so it has the sizes of chunks where the server sends chunks
 */
export async function rawRequest(port: number, lines: readonly string[], body = ''): Promise<RawAnswer> {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const socket = connect(port, '127.0.0.1')
  const head = [...lines, 'Host: localhost', 'Connection: close', ...length, '', ''].join('\r\n')
  // Not `end`: a server of Node gives no answer any more to a client that has closed its side.
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]))
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy())
  let text = ''
  try {
    for await (const chunk of socket.setEncoding('latin1')) {
      text += chunk
      if (isWhole(text)) break // not every server closes the connection when it is asked to
    }
  } catch {} // a server that refuses what it has not read to the end resets the connection after its answer
  const [top = '', ...rest] = text.split('\r\n\r\n')
  const [status = '', ...fields] = top.split('\r\n')
  const headers = fields.map((field) => [
    field.slice(0, field.indexOf(':')).toLowerCase(),
    field.slice(field.indexOf(':') + 1).trim(),
  ])
  const statusCode = Number(status.split(' ')[1] ?? 0)
  return { statusCode, headers: Object.fromEntries(headers), body: rest.join('\r\n\r\n') }
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return false
  const [, length] = /^content-length: *(\d+)\r?$/im.exec(text.slice(0, end)) ?? []
  return length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length - end - 4 >= Number(length)
}
