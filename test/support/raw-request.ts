import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 when the connection ended without an answer. */
  readonly statusCode: number
  /** Values by name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

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
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]))
  let text = ''
  try {
    for await (const chunk of socket.setEncoding('latin1')) text += chunk
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
