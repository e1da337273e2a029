import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { makeRunFolder } from '../run-folder.ts'
import { limitedSettings, makeHome, startSignet } from './server-process.ts'
import { takesNoOptions } from './takes-no-options.ts'

// Can one network keep everybody else from logging in? A real server with its real limits is attacked from one address,
// while people at other addresses try to log in or to refresh. Takes a minute.

takesNoOptions('bench:denial: can one network keep everybody else from logging in? Takes a minute.')

const ATTACKER = '198.51.100.1'
const PASSWORD = 'correct horse battery staple'
const OTHERS = 20
/** The time between the tries of two others. */
const PAUSE_MS = 250
const ACCOUNTS = 100
/** A little more than PASSWORD_QUEUE and the cores take. */
const AT_A_TIME = 72

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
}

const folder = makeRunFolder('denial')

const agent = new Agent({ keepAlive: true, maxSockets: 2000 })
const bench = { rounds: 1, seconds: 1, folder, cores: undefined }
const home = await makeHome(bench)
const server = await startSignet(bench, home, { env: { ...limitedSettings(home), TRUST_PROXY: 'loopback' } })
const port = Number(new URL(server.origin).port)
try {
  const others = await people('other', OTHERS)
  const attackers = await people('attacker', ACCOUNTS)
  await attack('nobody attacks', others, () => () => undefined)
  await attack('40 connections ask GET /health/ready', others, () => flood(40, 16, 'GET /health/ready HTTP/1.1'))
  const [first] = attackers
  const list = `GET /v1/sessions HTTP/1.1\r\nAuthorization: Bearer ${first?.access_token}`
  await attack('600 connections ask GET /v1/sessions', others, () => flood(600, 1, list))
  await attack(`${ACCOUNTS} accounts of one address change passwords`, others, () => changePasswords(attackers))
} finally {
  agent.destroy()
  await server.child.stop()
}

/** Measures how many of the others get through while the attack goes on. */
async function attack(name: string, others: Tokens[], begin: () => () => void): Promise<void> {
  const end = begin()
  await sleep(500)
  const logins = Array.from({ length: OTHERS }, async (_, index) => {
    await sleep(index * PAUSE_MS)
    return (await logIn(`other-${index}@example.com`, `203.0.113.${index}`)).status
  })
  const refreshes = others.map(async (tokens, index) => {
    await sleep(index * PAUSE_MS)
    const body = { refresh_token: tokens.refresh_token }
    const { status, json } = await send('POST', '/v1/refresh', `203.0.113.${index}`, body)
    if (status === 200) others[index] = json as Tokens
    return status
  })
  const good = (statuses: number[]) => statuses.filter((status) => status === 200).length
  const passed = [good(await Promise.all(logins)), good(await Promise.all(refreshes))]
  end()
  console.log(`${name.padEnd(52)} logins ${passed[0]} of ${OTHERS}, refreshes ${passed[1]} of ${OTHERS} of others pass`)
  await sleep(3000) // what was queued is worked off
}

/** Connections that ask again as soon as they are answered; each has `pipelined` requests under way. */
function flood(connections: number, pipelined: number, head: string): () => void {
  const one = `${head}\r\nHost: x\r\nX-Forwarded-For: ${ATTACKER}\r\n\r\n`
  const sockets = Array.from({ length: connections }, () => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(one.repeat(pipelined)))
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      const answers = chunk.toString('latin1').match(/HTTP\/1\.1 \d/g)?.length ?? 0
      if (answers > 0) socket.write(one.repeat(answers))
    })
    return socket
  })
  return () => {
    for (const socket of sockets) socket.destroy()
  }
}

/**
 * Shows each account's own password, and a new one that is refused: every request is a hash, and none a failure. As
 * many at a time as fill the queue, because what is refused counts too.
 */
function changePasswords(attackers: readonly Tokens[]): () => void {
  let going = true
  let next = 0
  const body = { current_password: PASSWORD, new_password: 'short' }
  for (let i = 0; i < AT_A_TIME; i += 1) {
    void (async () => {
      while (going) {
        next += 1
        const token = attackers[next % attackers.length]?.access_token
        const reply = await send('PUT', '/v1/me/password', ATTACKER, body, token).catch(() => undefined)
        if (reply?.status !== 422) await sleep(50)
      }
    })()
  }
  return () => {
    going = false
  }
}

async function people(name: string, count: number): Promise<Tokens[]> {
  const tokens: Tokens[] = []
  for (let i = 0; i < count; i += 1) {
    const email = `${name}-${i}@example.com`
    const address = `192.0.2.${i}`
    await send('POST', '/v1/accounts', address, { email, password: PASSWORD })
    const { status, json } = await logIn(email, address)
    if (status !== 200) throw new OperatorError(`${email}: ${status}`)
    tokens.push(json as Tokens)
  }
  return tokens
}

function logIn(email: string, address: string) {
  return send('POST', '/v1/login', address, { email, password: PASSWORD })
}

function send(method: string, path: string, address: string, body?: object, token?: string) {
  return new Promise<{ status: number; json: unknown }>((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'x-forwarded-for': address,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent }, (reply) => {
      let text = ''
      reply.on('data', (chunk) => {
        text += chunk
      })
      reply.once('end', () =>
        resolve({ status: reply.statusCode ?? 0, json: text === '' ? undefined : JSON.parse(text) }),
      )
    })
    sent.once('error', reject).end(body && JSON.stringify(body))
  })
}
