import { type Browser, type BrowserTab, startBrowser } from './browser.ts'
import { Protocol } from './protocol.ts'

/** Pages that nobody looks at run as if somebody did; a few processes hold all of them. */
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--no-first-run',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-extensions',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
  '--renderer-process-limit=3',
  '--remote-debugging-port=0',
]

export interface Chromium extends Browser {
  /** Opens a page as another browser would: with no cookie and no channel of the other pages. */
  openApart(url: string): Promise<BrowserTab>
}

/** Chromium, by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/). */
export async function startChromium(program: string): Promise<Chromium> {
  const started = await startBrowser(program, (profile) => [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'])
  const protocol = await Protocol.connect(started.url)
  const { product } = await protocol.call<{ product: string }>('Browser.getVersion')
  const open = async (url: string, context: { browserContextId?: string } = {}) => {
    const { targetId } = await protocol.call<{ targetId: string }>('Target.createTarget', { url, ...context })
    const { sessionId } = await protocol.call<{ sessionId: string }>('Target.attachToTarget', {
      targetId,
      flatten: true,
    })
    await protocol.call('Network.enable', {}, sessionId)
    return tabOf(protocol, sessionId)
  }
  return {
    version: product.replace('/', ' '),
    open: (url) => open(url),
    openApart: async (url) => open(url, await protocol.call('Target.createBrowserContext')),
    async close() {
      protocol.close()
      await started.end()
    },
  }
}

interface Evaluated<T> {
  readonly result: { readonly value: T }
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } }
}

function tabOf(protocol: Protocol, sessionId: string): BrowserTab {
  return {
    async evaluate<T>(expression: string) {
      const params = { expression, awaitPromise: true, returnByValue: true }
      const { result, exceptionDetails } = await protocol.call<Evaluated<T>>('Runtime.evaluate', params, sessionId)
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
      return result.value
    },
    reload: () => protocol.call('Page.reload', {}, sessionId),
    async setOffline(offline) {
      const params = { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 }
      await protocol.call('Network.emulateNetworkConditions', params, sessionId)
      return true
    },
  }
}
