import { setTimeout as sleep } from 'node:timers/promises'
import { PASSWORD } from '../../../../test/support/settings.ts'
import type { Browser, BrowserTab } from './browser.ts'
import { FaultProxy } from './fault-proxy.ts'
import { LabServer } from './lab-server.ts'
import type { Lab, Used } from './page.ts'
import { startPageServer } from './page-server.ts'

type Look = ReturnType<Lab['look']>

/** The tabs of one browser, the proxy, and the server behind it. */
export class Stage {
  readonly browser: Browser
  readonly proxy: FaultProxy
  readonly server: LabServer
  readonly account: { email: string; id: string }
  readonly tabs: BrowserTab[] = []
  /** How far the wall clock of the browser is from that of the server, in milliseconds. */
  wallErrorMs = 0
  hasNoDns = false
  #closePages: () => void = () => undefined

  private constructor(parts: Pick<Stage, 'browser' | 'proxy' | 'server' | 'account'>) {
    this.browser = parts.browser
    this.proxy = parts.proxy
    this.server = parts.server
    this.account = parts.account
  }

  static async set(browser: Browser, tabs: number, folder: string): Promise<Stage> {
    const proxy = new FaultProxy()
    const issuer = await proxy.listen()
    const start = () => {
      const { server, wallErrorMs = 0, hasNoDns = false } = stage ?? {}
      return { issuer, wallMs: (server?.aheadMs ?? 0) + wallErrorMs, hasNoDns }
    }
    let stage: Stage | undefined
    const pages = await startPageServer(start)
    const server = await LabServer.start(folder, issuer, pages.origin)
    proxy.target = server.port
    stage = new Stage({ browser, proxy, server, account: await server.newAccount() })
    stage.#closePages = pages.close
    while (stage.tabs.length < tabs) stage.tabs.push(await browser.open(`${pages.origin}/?tab=${stage.tabs.length}`))
    await Promise.all(stage.tabs.map(ready))
    return stage
  }

  async end(): Promise<void> {
    await this.browser.close()
    this.#closePages()
    this.proxy.close()
    await this.server.end()
  }

  /** After a trial that did not come to its end. */
  async reset(): Promise<void> {
    this.proxy.way = 'through'
    this.proxy.release()
    this.proxy.cutOff()
    this.wallErrorMs = 0
    this.hasNoDns = false
    await Promise.all(this.tabs.map((tab) => this.reload(tab)))
  }

  each<T>(expression: string): Promise<T[]> {
    return Promise.all(this.tabs.map((tab) => tab.evaluate<T>(expression)))
  }

  looks = (): Promise<Look[]> => this.each<Look>('lab.look()')

  /** Time passes for all: for the server, and for each clock of the browser. */
  async pass(ms: number): Promise<void> {
    this.server.move(ms)
    await this.each(`lab.move(${ms}, ${ms})`)
  }

  /** The device sleeps: its monotonic clock and its timers stand still. */
  async sleep(ms: number): Promise<void> {
    this.server.move(ms)
    await this.each(`lab.move(0, ${ms})`)
  }

  async setWall(byMs: number): Promise<void> {
    this.wallErrorMs += byMs
    await this.each(`lab.move(0, ${byMs})`)
  }

  async setDns(isGone: boolean): Promise<void> {
    this.hasNoDns = isGone
    await this.each(`lab.setDns(${isGone})`)
  }

  async reload(tab: BrowserTab): Promise<void> {
    await tab.evaluate('delete globalThis.lab')
    await tab.reload()
    await ready(tab)
  }

  /** @throws Error when somebody is not signed in after it */
  async signIn(): Promise<void> {
    const [first] = this.tabs
    const { email } = this.account
    const said = await first?.evaluate<string>(`lab.login(${JSON.stringify(email)}, ${JSON.stringify(PASSWORD)})`)
    if (said !== 'done') throw new Error(`login: ${said}`)
    await this.until(async () => (await this.looks()).every(({ state }) => state === 'signed-in'), 'all tabs signed in')
  }

  use = (): Promise<unknown> => this.each('lab.use()')

  /** What each tab got. Time passes meanwhile only if `stepMs` says so, or if nothing comes for a long time. */
  async used(stepMs = 0): Promise<Used[]> {
    let results: Used[] | undefined
    const all = this.each<Used>('lab.used()').then((found) => {
      results = found
    })
    all.catch(() => undefined)
    for (let turn = 1; results === undefined; turn += 1) {
      await Promise.race([all, sleep(300)])
      if (results === undefined && (stepMs > 0 || turn % 20 === 0)) await this.pass(stepMs || 11_000)
      if (turn > 400) throw new Error('the tabs do not come to an end')
    }
    if (stepMs === 0) await this.quiet() // else there is always somebody who waits for an answer
    return results
  }

  /** Waits for what the tabs do in the background: a clock that is moved meanwhile would be a time-out. */
  async quiet(): Promise<void> {
    let quiet = 0
    await this.until(async () => {
      const isBusy = this.proxy.underWay > 0 || (await this.each<boolean>('lab.isBusy()')).includes(true)
      quiet = isBusy ? 0 : quiet + 1
      return quiet === 3
    }, 'no request is under way')
  }

  async until(isSo: () => Promise<boolean>, what: string): Promise<void> {
    for (let turn = 0; !(await isSo()); turn += 1) {
      if (turn > 600) throw new Error(`it never came: ${what}`)
      await sleep(50)
    }
  }
}

async function ready(tab: BrowserTab): Promise<void> {
  for (let turn = 0; turn < 600; turn += 1) {
    if (await tab.evaluate<boolean>('Boolean(globalThis.lab)').catch(() => false)) return
    await sleep(50)
  }
  throw new Error('the page does not start')
}
