import type { Attack } from './corpus.ts'

/** The parts of an answer that are judged. */
export interface Answer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

// What an answer must not reveal: stack frames, names and codes of libraries, and the cause of the refusal that an
// attacker probes for.
const INNER =
  /\bat .+:\d+:\d+|node_modules|fast-?jwt|FAST_|FST_|\bjose\b|ERR_|TypeBox|base64|signature|audience|issuer|\bkid\b/i

/**
 * The faults of an answer to a hostile token, as sentences; none when it was refused as the contract says: 401, RFC
 * 9457 with a stable code, RFC 6750 challenge, not cached, and not a word about the cause.
 *
 * @param log what was logged while it was answered
 */
export function faults(answer: Answer, { token, code }: Attack, log: string): string[] {
  const { statusCode, headers, body } = answer
  const challenge = String(headers['www-authenticate'])
  const everything = JSON.stringify(headers) + body
  return [
    statusCode !== 401 && `status ${statusCode}`,
    !/^application\/problem\+json/.test(String(headers['content-type'])) && `content-type ${headers['content-type']}`,
    problemCode(body) !== (code ?? 'invalid_token') && `code ${problemCode(body)}`,
    !/^Bearer .*\berror="invalid_token"/.test(challenge) && `challenge ${challenge}`,
    headers['cache-control'] !== 'no-store' && `cache-control ${headers['cache-control']}`,
    INNER.test(everything.replaceAll('"invalid_token"', '')) && `gives away ${INNER.exec(everything)?.[0]}`,
    secrets(token).some((part) => everything.includes(part)) && 'repeats the token',
    secrets(token).some((part) => log.includes(part)) && 'logs the token',
    body.length > 400 && `a body of ${body.length} characters`,
  ].filter((fault) => fault !== false)
}

function problemCode(body: string): unknown {
  try {
    const { code, status } = JSON.parse(body)
    return status === 401 ? code : `with status ${status}`
  } catch {
    return 'of no JSON'
  }
}

/** The whole and the parts of a token, when they are long enough to be nothing else. */
function secrets(token: string): string[] {
  return [token.slice(0, 200), ...token.split('.', 5).map((part) => part.slice(0, 200))].filter(
    (part) => part.length > 20,
  )
}
