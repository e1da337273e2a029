import { posix } from 'node:path'
import { IDENTITY_HEADERS } from '../../../../src/verifier/gate/identity.ts'
import { type RawAnswer, rawRequest } from '../../../../test/support/raw-request.ts'
import type { Trial } from '../trial.ts'
import { type Backend, type Received, readName } from './backend.ts'
import type { Between } from './between.ts'

/** A gateway that runs, with the gate and a service behind it. */
export interface GatewayTrial extends Trial {
  readonly port: number
  readonly between: Between
  readonly backend: Backend
}

/** An answer to a client, and what reached the service meanwhile. */
export interface Outcome extends RawAnswer {
  readonly reached: readonly Received[]
}

/** @param lines request line and header lines */
export async function send(trial: GatewayTrial, lines: readonly string[], body = ''): Promise<Outcome> {
  trial.backend.take()
  const answer = await rawRequest(trial.port, lines, body)
  return { ...answer, reached: trial.backend.take() }
}

export const get = (trial: GatewayTrial, path: string, ...lines: readonly string[]) =>
  send(trial, [`GET ${path} HTTP/1.1`, ...lines])

export const bearer = (token: string) => `Authorization: Bearer ${token}`

export function fault(trial: GatewayTrial, column: string, what: string): void {
  trial.faults.push(`${trial.program.name}: ${column}: ${what}`)
  trial.cells.set(column, '**NO**')
}

/** Values of an identity header, in any spelling that a service may take for it. */
export function identityOf({ lines }: Received): [name: string, value: string][] {
  return lines.flatMap(([name, value]): [string, string][] => {
    const read = readName(name)
    return IDENTITY_HEADERS.some((header) => header === read) || read.includes('signet') ? [[name, value]] : []
  })
}

/** The path that a service may read: everything decoded, and all dots resolved. */
export function readPath({ url }: Received): string {
  let path = url.replace(/[?#].*$/s, '')
  for (let i = 0; i < 3; i += 1) path = decoded(path)
  return posix
    .normalize(
      path
        .replaceAll('\\', '/')
        .replaceAll(/;[^/]*/g, '')
        .replace(/^\w+:\/\/[^/]*/, ''),
    )
    .toLowerCase()
}

function decoded(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}
