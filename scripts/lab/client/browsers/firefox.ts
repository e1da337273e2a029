import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, type BrowserTab, startBrowser } from './browser.ts'
import { Protocol } from './protocol.ts'

/** Pages that nobody looks at run as if somebody did; a few processes hold all of them. Firefox asks nobody at home. */
const PREFERENCES = {
  'dom.ipc.processCount': 3,
  'dom.ipc.processCount.webIsolated': 3,
  // The second one counts once the third one is set.
  'dom.min_background_timeout_value': 4,
  'dom.min_background_timeout_value_without_budget_throttling': 4,
  'dom.timeout.enable_budget_timer_throttling': false,
  'browser.tabs.unloadOnLowMemory': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
}

/** Firefox, by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/). */
export async function startFirefox(program: string): Promise<Browser> {
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`)
  const started = await startBrowser(
    program,
    (profile) => ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'],
    (profile) => writeFile(join(profile, 'user.js'), lines.join('\n')),
  )
  const protocol = await Protocol.connect(`${started.url}/session`)
  const { capabilities } = await protocol.call<{ capabilities: { browserName: string; browserVersion: string } }>(
    'session.new',
    { capabilities: {} },
  )
  return {
    version: `${capabilities.browserName} ${capabilities.browserVersion}`,
    async open(url) {
      const { context } = await protocol.call<{ context: string }>('browsingContext.create', { type: 'tab' })
      await protocol.call('browsingContext.navigate', { context, url, wait: 'complete' })
      return tabOf(protocol, context)
    },
    async close() {
      protocol.close()
      await started.end()
    },
  }
}

interface Evaluated {
  readonly type: 'success' | 'exception'
  readonly result?: { readonly value?: string }
  readonly exceptionDetails?: { readonly text: string }
}

function tabOf(protocol: Protocol, context: string): BrowserTab {
  return {
    async evaluate<T>(expression: string) {
      const answer = await protocol.call<Evaluated>('script.evaluate', {
        expression: `Promise.resolve(${expression}).then((value) => JSON.stringify(value ?? null))`,
        target: { context },
        awaitPromise: true,
      })
      if (answer.type === 'exception') throw new Error(answer.exceptionDetails?.text)
      return JSON.parse(answer.result?.value ?? 'null') as T
    },
    reload: () => protocol.call('browsingContext.reload', { context, wait: 'none' }),
    setOffline: async () => false, // BiDi has no such thing yet
  }
}
