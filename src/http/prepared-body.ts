import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { matchesEtag, strongEtag } from './etag.ts'

type Coding = 'br' | 'gzip' | 'identity'

const COMPRESS = {
  // Quality 11 is a tenth smaller and takes twenty times as long.
  br: (body: Buffer) => promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
  gzip: (body: Buffer) => promisify(gzip)(body),
  identity: async (body: Buffer) => body,
} as const

interface Coded {
  readonly body: Buffer
  readonly etag: string
}

/** A body that never changes, sent from memory. */
export interface PreparedBody {
  /**
   * Sends the body in a coding that the client takes (RFC 9110 section 12.5.3), or 304.
   *
   * @param reply has its type and Cache-Control already
   * @throws whatever `read` throws
   */
  send(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
}

/**
 * Each coding is made at its first use, once, and kept: a request costs no file and no compression.
 *
 * @param otherwise the coding for a client that names none that we have
 */
export function createPreparedBody(read: () => Promise<Buffer>, otherwise: 'gzip' | 'identity'): PreparedBody {
  const made = new Map<Coding, Promise<Coded>>()
  const make = async (coding: Coding): Promise<Coded> => {
    const body = await COMPRESS[coding](await read())
    return { body, etag: strongEtag(body) }
  }
  const coded = (coding: Coding): Promise<Coded> => {
    const known = made.get(coding)
    if (known !== undefined) return known
    const making = make(coding)
    made.set(coding, making)
    making.catch(() => made.delete(coding)) // the next request tries again
    return making
  }
  return {
    async send(request, reply) {
      const coding = chosenCoding(request.headers['accept-encoding']) ?? otherwise
      const { body, etag } = await coded(coding)
      const vary = [reply.getHeader('vary') ?? []].flat()
      reply.header('vary', [...vary, 'accept-encoding'].join(', ')).header('etag', etag)
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
      if (coding !== 'identity') reply.header('content-encoding', coding)
      return reply.send(body)
    },
  }
}

/** The best of our codings that `Accept-Encoding` names without `q=0`. */
function chosenCoding(accepted = ''): 'br' | 'gzip' | undefined {
  const names = accepted
    .toLowerCase()
    .split(',')
    .map((item) => item.split(';').map((part) => part.trim()))
    .filter(([, quality = '']) => !/^q=0(\.0*)?$/.test(quality))
    .map(([name]) => name)
  return (['br', 'gzip'] as const).find((coding) => names.includes(coding))
}
