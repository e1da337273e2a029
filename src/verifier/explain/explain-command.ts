import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../../clock.ts'
import { type ExplainOptions, explain } from './explain.ts'
import { explainReport } from './explain-report.ts'

/** Bytes of standard input. A token has at most 4096. */
const MAX_INPUT_BYTES = 65_536
/** Bytes of a file with keys, as of a JWKS that is fetched. */
const MAX_JWKS_BYTES = 256 * 1024

export const USAGE = `Usage: signet-verifier explain --issuer URL --audience NAME [options] < FILE

Says check by check whether the guard of your service takes a token, and why not. The token comes from standard
input, alone in one line, with or without "Bearer " before it.

  --issuer URL        the token server, as in the option \`issuer\` of the guard
  --audience NAME     the identifier of your service; may be repeated
  --jwks FILE         the keys of the issuer, from a file: the issuer is not asked for them
  --no-revocations    the revocation feed of the issuer is not read
  --insecure-issuer   plain http to another machine is allowed
  --now SECONDS       judge as at this time, in seconds since 1970. The feed of today is not good for another day
  --help              this text

It exits with 0 when the token is good, 1 when it is refused, 2 when it could not begin.
`

/** What the command takes from its process, so that a test can give something else. */
export interface ExplainProcess {
  /** Without the names of the program and the script. */
  readonly argv: readonly string[]
  readonly stdin: AsyncIterable<Uint8Array>
  readonly fetch: typeof fetch
}

export interface Outcome {
  /** 0: good. 1: refused. 2: it could not begin. */
  readonly exit: 0 | 1 | 2
  readonly stdout: string
  readonly stderr: string
}

/** A fault of whoever called. Its message repeats nothing of what was given, which may hold a token. */
class Usage extends Error {}

/** Runs `signet-verifier explain`. Prints nothing by itself. */
export async function explainCommand({ argv, stdin, fetch }: ExplainProcess): Promise<Outcome> {
  try {
    assertNoToken(argv)
    if (argv.includes('--help') || argv.includes('-h')) return { exit: 0, stdout: USAGE, stderr: '' }
    const options = await optionsOf(argv, fetch)
    const token = await readToken(stdin)
    const explanation = await explain(token, options)
    return {
      exit: explanation.error === undefined ? 0 : 1,
      stdout: explainReport(explanation, options),
      stderr: '',
    }
  } catch (error) {
    // The guard throws a TypeError for an option that it does not take.
    if (!(error instanceof Usage || error instanceof TypeError)) throw error
    return { exit: 2, stdout: '', stderr: `signet-verifier: ${error.message}\nTry: signet-verifier explain --help\n` }
  }
}

/** The shell's history and the list of processes keep what stands on the command line. */
function assertNoToken(argv: readonly string[]): void {
  if (!argv.some((one) => /eyJ[\w-]{8}|[\w-]{16,}\.[\w-]{16,}\.[\w-]/.test(one))) return
  throw new Usage(
    'there is something like a token on the command line, where the history of the shell and the list of processes ' +
      'keep it. Remove it from the history, and give the token on standard input: ' +
      'signet-verifier explain --issuer URL --audience NAME < FILE',
  )
}

async function optionsOf(argv: readonly string[], fetch: typeof globalThis.fetch): Promise<ExplainOptions> {
  const { values, positionals } = parsed(argv)
  if (positionals[0] !== 'explain') throw new Usage('the only command is `explain`')
  if (positionals.length > 1) throw new Usage('explain takes options and nothing else')
  if (values.issuer === undefined) throw new Usage('--issuer is needed: the URL of the token server')
  if (values.audience === undefined) throw new Usage('--audience is needed: the identifier of your service')
  const judgedAt = values.now === undefined ? systemClock() : instantOf(values.now)
  return {
    issuer: values.issuer,
    audience: values.audience,
    insecureIssuer: values['insecure-issuer'],
    revocations: !values['no-revocations'],
    jwks: values.jwks === undefined ? undefined : await jwksOf(values.jwks),
    fetch,
    now: () => judgedAt,
    machine: systemClock,
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        issuer: { type: 'string' },
        audience: { type: 'string', multiple: true },
        jwks: { type: 'string' },
        now: { type: 'string' },
        'no-revocations': { type: 'boolean', default: false },
        'insecure-issuer': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    const [, option] = /'(--[a-z][a-z-]{0,19})(?: <value>)?'/.exec((error as Error).message) ?? []
    throw new Usage(option === undefined ? 'an option is not known' : `${option} is not known, or has no value`)
  }
}

function instantOf(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new Usage('--now takes whole seconds since 1970')
  return Number(text)
}

async function jwksOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(({ code }) => {
    throw new Usage(`the file of --jwks can't be read (${code})`)
  })
  if (text.length > MAX_JWKS_BYTES) throw new Usage(`the file of --jwks has more than ${MAX_JWKS_BYTES} bytes`)
  return text
}

/** The one line of standard input, without what people copy along with it. */
async function readToken(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    bytes += chunk.byteLength
    if (bytes > MAX_INPUT_BYTES)
      throw new Usage(`standard input has more than ${MAX_INPUT_BYTES} bytes, and a token has at most 4096`)
    chunks.push(chunk)
  }
  const lines = Buffer.concat(chunks)
    .toString('utf8')
    .split(/[\r\n]+/)
    .map((line) => line.trim().replace(/^(authorization: *)?bearer +/i, ''))
    .filter((line) => line !== '')
  if (lines.length === 0) throw new Usage('standard input is empty: it takes the token')
  if (lines.length > 1) throw new Usage(`standard input has ${lines.length} lines: give one token, in one line`)
  return lines[0] as string
}
