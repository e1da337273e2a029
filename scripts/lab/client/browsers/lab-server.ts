import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { revokeKey, rotateKeys } from '../../../../src/keys/change-keyring.ts'
import { PASSWORD } from '../../../../test/support/settings.ts'
import { kill, type Node, newService, startNode, terminate } from '../../failures/node.ts'
import { ask, pairOf, post, postLogin, register, type Tokens } from '../../failures/people.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const YEAR_SECONDS = '31536000'
/** From the plan to the first signature of the next key, in seconds. */
const ROTATION_SECONDS = 3

/** A real server process on the embedded database, whose clock the run can move, and what people do to it. */
export class LabServer {
  #node: Node
  #ms = 0
  readonly #clockFile: string
  #admin: Tokens | undefined

  private constructor(node: Node, clockFile: string) {
    this.#node = node
    this.#clockFile = clockFile
  }

  static async start(folder: string, issuer: string, appOrigin: string): Promise<LabServer> {
    const clockFile = join(folder, 'clock')
    writeFileSync(clockFile, '0')
    const env = await newService(
      { folder },
      {
        ISSUER: issuer,
        CORS_ORIGINS: appOrigin,
        ACCESS_TOKEN_TTL: '900',
        SESSION_IDLE_TTL: YEAR_SECONDS,
        SESSION_MAX_TTL: YEAR_SECONDS,
        FAILURES_CLOCK_FILE: clockFile,
        NODE_OPTIONS: '--import ./scripts/lab/failures/stepped-clock.js',
      },
    )
    return new LabServer(await startNode(env), clockFile)
  }

  get port(): number {
    return Number(this.#node.env.PORT)
  }

  /** How far its clock is ahead, in milliseconds. */
  get aheadMs(): number {
    return this.#ms
  }

  move(ms: number): void {
    this.#ms += ms
    writeFileSync(`${this.#clockFile}.new`, String(this.#ms))
    renameSync(`${this.#clockFile}.new`, this.#clockFile)
  }

  kill = (): Promise<void> => kill(this.#node)
  end = (): Promise<unknown> => terminate(this.#node)

  async restart(): Promise<void> {
    this.#node = await startNode(this.#node.env)
  }

  /** @returns its email and its id */
  async newAccount(): Promise<{ email: string; id: string }> {
    const email = `${randomUUID()}@example.com`
    const { body } = await register(this.#node.origin, email)
    return { email, id: String(body.id) }
  }

  async rotateKey(): Promise<void> {
    const before = await this.#kid()
    await rotateKeys(this.#folder(), { now: this.#seconds, bits: 2048, lead: ROTATION_SECONDS })
    while ((await this.#kid()) === before) await sleep(250)
  }

  async revokeKey(): Promise<void> {
    const kid = await this.#kid()
    const options = {
      now: this.#seconds,
      bits: 2048,
      successor: true,
      unpublishedSuccessor: true,
      force: false,
    } as const
    await revokeKey(this.#folder(), kid, options)
    while ((await this.#kid()) === kid) await sleep(250)
  }

  /** The person logs in elsewhere, and ends all other sessions. */
  async endOthers(email: string): Promise<void> {
    const tokens = pairOf(await postLogin(this.#node.origin, email))
    const { status } = await post(`${this.#node.origin}/v1/logout`, { scope: 'others' }, tokens?.access)
    if (status !== 204) throw new Error(`logout of the others: ${status}`)
  }

  async setRoles(id: string, roles: readonly string[]): Promise<void> {
    const reply = await this.#setRoles(id, roles)
    if (reply.status === 401) this.#admin = undefined // the clock was moved since
    const { status } = reply.status === 401 ? await this.#setRoles(id, roles) : reply
    if (status !== 200) throw new Error(`roles: ${status}`)
  }

  async #setRoles(id: string, roles: readonly string[]) {
    const { access } = await this.#adminTokens()
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${access}` }
    const body = JSON.stringify({ roles })
    return ask(`${this.#node.origin}/v1/admin/accounts/${id}`, { method: 'PATCH', headers, body })
  }

  async #adminTokens(): Promise<Tokens> {
    const email = 'admin@example.com'
    if (this.#admin === undefined) {
      const found = pairOf(await postLogin(this.#node.origin, email))
      if (found === undefined) await this.#makeAdmin(email)
      this.#admin = found ?? pairOf(await postLogin(this.#node.origin, email))
    }
    return this.#admin as Tokens
  }

  #makeAdmin(email: string): Promise<void> {
    const args = ['--import', './src/require-node.js', 'scripts/accounts.ts', 'create', '--email', email]
    const env = { PATH: process.env.PATH, ...this.#node.env, NODE_OPTIONS: '' }
    return new Promise((resolve, reject) => {
      const child = execFile(process.execPath, [...args, '--role', 'admin'], { cwd: ROOT, env }, (error) =>
        error ? reject(error) : resolve(),
      )
      child.stdin?.end(`${PASSWORD}\n`)
    })
  }

  /** The key that signs now, as a new token says. */
  async #kid(): Promise<string> {
    const { access } = await this.#adminOfNow()
    return JSON.parse(Buffer.from(access.split('.')[0] ?? '', 'base64url').toString()).kid
  }

  #adminOfNow(): Promise<Tokens> {
    this.#admin = undefined
    return this.#adminTokens()
  }

  readonly #seconds = () => Math.floor((Date.now() + this.#ms) / 1000)
  #folder = () => ({ dir: this.#node.env.KEYS_DIR ?? '', passphrase: undefined })
}
