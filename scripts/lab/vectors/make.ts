import { createHmac, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { publicJwk, toPem } from '../../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../../src/keys/private-keys.ts'
import { CHANGES_TYPE } from '../../../src/revocations/changes-format.ts'
import { type Case, ISSUER, type Kids, type Line, NOW, SKEW } from './cases.ts'
import { CHANGES } from './changes.ts'
import { HISTORIES } from './histories.ts'
import { keyCases } from './keys.ts'
import { REFUSALS } from './refusals.ts'
import { TIMES } from './times.ts'
import { WHOLES } from './wholes.ts'

// Makes the test vectors of the change stream anew: src/revocations/vectors/. The keys are made for it and thrown away.
// What is expected stands in the files beside this one, written by hand. Afterwards: npm run format

const TARGET = new URL('../../../src/revocations/vectors/', import.meta.url)

type Keys = Record<keyof Kids, KeyObject>

const keys: Keys = {
  first: await generatePrivateKey(2048),
  second: await generatePrivateKey(2048),
  stranger: await generatePrivateKey(2048),
}
const published = [publicJwk(keys.first), publicJwk(keys.second)]
const kids = {
  first: published[0]?.kid ?? '',
  second: published[1]?.kid ?? '',
  stranger: publicJwk(keys.stranger).kid,
}
const files: Record<string, readonly Case[]> = {
  wholes: WHOLES,
  changes: CHANGES,
  histories: HISTORIES,
  keys: keyCases(kids),
  refusals: REFUSALS,
  times: TIMES,
}

await mkdir(TARGET, { recursive: true })
for (const [name, cases] of Object.entries(files)) {
  const text = JSON.stringify(cases.map(vector), null, 2)
  await writeFile(new URL(`${name}.json`, TARGET), `${text}\n`)
}
process.stdout.write(`${Object.values(files).flat().length} vectors\n`)

function vector({ name, why, now = NOW, before, lines, end, outcome, reason, after }: Case) {
  const jwks = { keys: published }
  const answer = body(lines, end)
  return { name, why, issuer: ISSUER, skew: SKEW, now, jwks, before, answer, outcome, reason, after }
}

function body(lines: readonly Line[], end: Case['end']): string {
  const text = lines.map((line) => `${compact(line)}\n`).join('')
  if (end === 'half a line') return text.slice(0, -200)
  if (end === 'no line feed') return text.slice(0, -1)
  return end === 'an empty line' ? `${text}\n` : text
}

/** A compact JWS, or what an attacker makes of one. */
function compact({ claims, header, signedBy = 'first', isTampered = false }: Line): string {
  const kid = signedBy in kids ? kids[signedBy as keyof Kids] : kids.first
  const encoded = [{ alg: 'RS256', typ: CHANGES_TYPE, kid, ...header }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = signatureOf(encoded, signedBy).toString('base64url')
  return isTampered ? `${tampered(encoded)}.${signature}` : `${encoded}.${signature}`
}

function signatureOf(text: string, signedBy: NonNullable<Line['signedBy']>): Buffer {
  if (signedBy === 'nobody') return Buffer.alloc(0)
  const pem = toPem(publicJwk(createPublicKey(keys.first)))
  if (signedBy === 'public key as a secret') return createHmac('sha256', pem).update(text).digest()
  return sign('sha256', Buffer.from(text), keys[signedBy])
}

/** Another session in the payload, in the same number of characters. */
function tampered(text: string): string {
  const [header = '', payload = ''] = text.split('.')
  const changed = Buffer.from(payload, 'base64url').toString().replace('"s3"', '"s7"')
  return `${header}.${Buffer.from(changed).toString('base64url')}`
}
