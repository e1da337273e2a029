import { SignetClientError } from '../../../../src/client/index.ts'
import type { Faults } from '../../failures/failure.ts'
import type { Device } from './device.ts'
import { NETWORK_FAULTS, USER_AGENT } from './network.ts'
import type { Random } from './random.ts'
import { type Service, TTL_SECONDS } from './service.ts'
import type { SimulatedTime } from './time.ts'

const HOUR_MS = 3_600_000
/** Longer than the grace, so that two who share a token are not taken for two tabs. */
const AFTER_GRACE_MS = 40_000
/** How many exchanges a thief may have before he is found: one, and the one in which both part. */
const MOST_THEFTS = 2

export interface World {
  readonly service: Service
  readonly time: SimulatedTime
  readonly random: Random
  readonly devices: readonly Device[]
  readonly faults: Faults
  /** How often each thing happened. */
  readonly tally: Map<string, number>
}

const count = ({ tally }: World, what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)

/** Time passes; then everybody's tabs ask at once, while something goes wrong for many; then all is well again. */
export async function round(world: World): Promise<void> {
  const { time, random, devices } = world
  for (const device of devices) before(world, device)
  await time.pass(random.of([0.82, 1.02, 1.02, 3, 8]) * TTL_SECONDS * 1000)
  for (const device of devices) device.clock.isAsleep = false
  for (const device of devices) await happen(world, device)

  const uses = devices.map((device) => device.use())
  for (const device of devices) if (random.chance(0.08)) reload(world, device)
  const logouts = devices.map((device) => (random.chance(0.02) ? logOut(world, device) : undefined))
  await time.pass(25_000) // longer than the time limit of a request, and than the wait for a lock
  for (const device of devices) {
    if (device.network.fault === 'offline') for (const tab of device.tabs) tab.wake()
    device.network.fault = 'none'
  }
  await time.pass(100_000) // longer than the longest back-off
  await Promise.all([...uses, ...logouts])

  const again = devices.map((device) => device.use())
  await time.pass(1000)
  const results = await Promise.all(again)
  for (const [index, device] of devices.entries()) await judge(world, device, results[index] ?? [])
  await time.pass(AFTER_GRACE_MS)
  for (const device of devices) await theft(world, device)
}

function before({ random }: World, device: Device): void {
  device.network.arrived.clear()
  device.clock.isAsleep = random.chance(0.15)
  for (const tab of device.tabs) tab.isHidden = random.chance(0.2)
}

/** One thing for the device, mostly. */
async function happen(world: World, device: Device): Promise<void> {
  const { random, service } = world
  const chance = random.next()
  if (chance < 0.4) {
    device.network.fault = random.of(NETWORK_FAULTS)
    count(world, device.network.fault)
  } else if (chance < 0.46) {
    device.clock.wallErrorMs = random.of([0, 2 * HOUR_MS, -2 * HOUR_MS])
    count(world, 'wall clock set')
  } else if (chance < 0.48) {
    await service.endOthers(device.email)
    device.truth = 'out'
    count(world, 'session ended elsewhere')
  } else if (chance < 0.5) {
    device.roles = random.of([['editor'], [], ['editor', 'reader']])
    await service.setRoles(device.id, device.roles)
    count(world, 'role changed')
  } else if (chance < 0.52 && !device.thief && device.truth === 'in') {
    const token = device.network.refreshTokens.at(-1)
    if (token) device.thief = { token, used: 0 }
    count(world, 'refresh token stolen')
    if (random.chance(0.5)) await theft(world, device) // before the owner, or after him
  }
}

function reload(world: World, device: Device): void {
  const tab = world.random.of(device.tabs)
  const { isHidden } = tab
  count(world, 'reload in the middle')
  Object.assign(device.reload(tab), { isHidden }).session.start()
}

/** It may fail, and then the session goes on or not: only the server knows. */
async function logOut(world: World, device: Device): Promise<void> {
  const { session } = world.random.of(device.tabs)
  count(world, 'logout')
  const wasOver = session.state === 'signed-out'
  await session.logout().then(
    () => {
      if (!wasOver) device.truth = 'out'
    },
    (error) => world.faults.expect(error instanceof SignetClientError, `logout: ${error}`),
  )
  if (device.network.hasLoggedOut) device.truth = 'out'
}

async function judge(world: World, device: Device, results: readonly string[]): Promise<void> {
  const { faults } = world
  for (const wrong of device.wrongLogouts.splice(0)) faults.add(`a wrong logout: ${wrong}`)
  const { size } = device.network.arrived
  faults.expect(size <= 1, `${device.transport}: ${size} refreshes for one expiry`)
  const states = device.states()
  const areOut = states.every((state) => state === 'signed-out')
  const areIn = states.every((state) => state === 'signed-in')
  faults.expect(areOut || areIn, `${device.transport}: the tabs do not agree: ${states}`)
  if (device.truth === 'in') {
    faults.expect(areIn, `${device.transport}: alive, and its tabs are ${states}`)
    faults.expect(
      results.every((result) => result === '200'),
      `${device.transport}: alive, and its tabs get ${results}`,
    )
    const roles = JSON.stringify(device.tabs[0]?.session.claims?.roles ?? [])
    if (device.roles.length) faults.expect(roles.includes('editor'), `${device.transport}: roles are ${roles}`)
  }
  if (device.truth === 'out') faults.expect(areOut, `${device.transport}: ended, and its tabs are ${states}`)
  if (!areOut) return
  if (device.thief?.used && device.truth === 'perhaps') count(world, 'thief found when the owner refreshed')
  await nothingIsLeft(world, device)
  await world.time.outside(device.login())
  count(world, 'login')
}

/** After a logout or any other end no token works: neither the last ones nor what a thief has. */
async function nothingIsLeft(world: World, { network, thief }: Device): Promise<void> {
  const { service, faults } = world
  const { status } = await service.ask({
    method: 'GET',
    path: '/v1/me',
    headers: { authorization: `Bearer ${network.accessToken}` },
  })
  faults.expect(status === 401, `an access token of a session that ended: ${status}`)
  for (const token of [...network.refreshTokens.slice(-3), ...(thief ? [thief.token] : [])]) {
    const reply = await show(world, token)
    faults.expect(reply.status === 401, `a refresh token of a session that ended: ${reply.status}`)
  }
}

/** A thief exchanges what he has stolen, again and again, as the owner does: soon it is over for both. */
async function theft(world: World, device: Device): Promise<void> {
  const { thief } = device
  if (!thief) return
  const reply = await show(world, thief.token)
  if (reply.status === 200) {
    thief.used += 1
    thief.token = JSON.parse(reply.body).refresh_token
    if (device.truth === 'in') device.truth = 'perhaps'
    world.faults.expect(thief.used <= MOST_THEFTS, `a thief is not found after ${thief.used} exchanges`)
  } else {
    world.faults.expect(reply.status === 401, `a thief gets ${reply.status}`)
    if (device.truth !== 'out') count(world, `thief found after ${thief.used} exchanges of his`)
    device.truth = 'out'
  }
}

/** From another network; half of the thieves say that they are the same browser. */
function show({ service, random }: World, token: string) {
  return service.ask({
    method: 'POST',
    path: '/v1/refresh',
    headers: { 'content-type': 'application/json', 'user-agent': random.of([USER_AGENT, 'Thief/1']) },
    body: JSON.stringify({ refresh_token: token }),
    ip: '203.0.113.7',
  })
}
