import {
  createSession,
  memoryStorage,
  type Session,
  SignetClientError,
  type State,
} from '../../../../src/client/index.ts'
import { PASSWORD } from '../../../../test/support/settings.ts'
import { simulatedChannels, simulatedLocks } from './between-tabs.ts'
import { Network } from './network.ts'
import type { Random } from './random.ts'
import { APP, ISSUER, type Service } from './service.ts'
import type { SimulatedTime } from './time.ts'

/** A tab of a browser, or one of several sessions of a process that share a storage. */
export interface Tab {
  readonly session: Session
  isHidden: boolean
  isGone: boolean
  wake(): void
}

/** What the model knows of the session. `perhaps`: a thief is at work, or the server was asked to end it. */
export type Truth = 'in' | 'perhaps' | 'out'

/** One browser (`cookie`) or one app of a phone (`body`), with a person of its own. */
export class Device {
  readonly transport: 'cookie' | 'body'
  readonly clock
  readonly network: Network
  readonly email: string
  readonly id: string
  tabs: Tab[] = []
  truth: Truth = 'in'
  /** Where a tab said `signed-out` although the session was alive. */
  readonly wrongLogouts: string[] = []
  thief: { token: string; used: number } | undefined
  roles: readonly string[] = []
  #share
  readonly #random: Random

  constructor(
    transport: 'cookie' | 'body',
    parts: { service: Service; time: SimulatedTime; random: Random },
    account: { id: string; email: string },
  ) {
    this.transport = transport
    this.clock = parts.time.device()
    this.network = new Network(parts.service, parts.time, this.clock)
    this.email = account.email
    this.id = account.id
    this.#random = parts.random
    this.#share = newShare()
  }

  open(): Tab {
    const wakes = new Set<() => void>()
    const tab = { isHidden: false, isGone: false, wake: () => wakes.forEach((run) => void run()) }
    const { locks, channel, storage } = this.#share
    const session = createSession({
      issuer: ISSUER,
      transport: this.transport,
      clock: this.clock,
      random: this.#random.next,
      locks,
      channel,
      storage,
      base: `${APP}/`,
      fetch: this.network.fetchOf(() => tab.isGone),
      page: {
        isHidden: () => tab.isHidden,
        onWake(run) {
          wakes.add(run)
          return () => void wakes.delete(run)
        },
      },
    })
    session.onChange((state, why) => this.#hear(state, why))
    const opened = Object.assign(tab, { session })
    this.tabs.push(opened)
    return opened
  }

  /** The page is loaded again, or the process is killed and started again. */
  reload(tab: Tab): Tab {
    tab.isGone = true
    tab.session.close()
    this.tabs = this.tabs.filter((one) => one !== tab)
    return this.open()
  }

  async login(): Promise<void> {
    this.network.fault = 'none'
    this.network.hasLoggedOut = false
    this.network.refreshTokens.length = 0
    const [first, ...others] = this.tabs
    await first?.session.login({ email: this.email, password: PASSWORD })
    this.truth = 'in'
    this.thief = undefined
    // With the body transport nothing tells the others of a login: they are started again.
    if (this.transport === 'body') for (const tab of others) this.reload(tab)
  }

  /**
   * What each tab got: 200, a state, or the code of an error. In a browser one tab asks the server and the others learn
   * from it; sessions in a process do not.
   */
  use(): Promise<string[]> {
    return Promise.all(
      this.tabs.map(({ session }, index) => {
        const asks = index === 0 || this.transport === 'body'
        const work = asks ? session.fetch(`${ISSUER}/v1/me`).then(statusOf) : session.token().then(nameOf(session))
        return work.catch(codeOf)
      }),
    )
  }

  states(): State[] {
    return this.tabs.map(({ session }) => session.state)
  }

  #hear(state: State, why: string): void {
    if (state !== 'signed-out') return
    if (this.network.hasLoggedOut) this.truth = 'out'
    if (this.truth === 'in') this.wrongLogouts.push(`${this.transport}: ${why}, fault ${this.network.fault}`)
  }
}

const statusOf = ({ status }: Response) => String(status)
const nameOf = (session: Session) => (token: string | null) => (token ? '200' : session.state)
const codeOf = (error: unknown) => (error instanceof SignetClientError ? error.code : String(error))

const newShare = () => ({ locks: simulatedLocks(), channel: simulatedChannels(), storage: memoryStorage() })
