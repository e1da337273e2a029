import type { Channel, LockOptions, Locks } from '../../src/client/index.ts'

// What the tabs of one browser share: locks and channels. A frozen tab runs nothing; its messages wait.

export interface FrozenTab {
  isFrozen: boolean
  readonly waiting: (() => void)[]
}
export const newTab = (): FrozenTab => ({ isFrozen: false, waiting: [] })

/** Runs now, or when the tab is thawed. */
export const inTab = (tab: FrozenTab, run: () => void) => (tab.isFrozen ? void tab.waiting.push(run) : run())

export function thaw(tab: FrozenTab): void {
  tab.isFrozen = false
  for (const run of tab.waiting.splice(0)) run()
}

interface Request {
  readonly options: LockOptions
  readonly start: () => void
  readonly reject: (reason: unknown) => void
}
interface Holder {
  readonly reject: (reason: unknown) => void
}

/** Web Locks: exclusive, with `signal` and `steal`. https://www.w3.org/TR/web-locks/ */
export function fakeLocks() {
  const held = new Map<string, Holder>()
  const queues = new Map<string, Request[]>()
  let steals = 0
  const next = (name: string) => {
    if (!held.has(name)) queues.get(name)?.shift()?.start()
  }
  const locks: Locks = {
    request: (name, options, work) =>
      new Promise((resolve, reject) => {
        const queue = queues.get(name) ?? []
        queues.set(name, queue)
        const start = () => {
          const holder = { reject }
          held.set(name, holder)
          const end = () => {
            if (held.get(name) === holder) held.delete(name)
            next(name)
          }
          setImmediate(() => void work().then(resolve, reject).finally(end))
        }
        const request = { options, start, reject }
        if (options.steal) {
          steals += 1
          held.get(name)?.reject(new DOMException('stolen', 'AbortError'))
          held.delete(name)
          queue.unshift(request)
        } else queue.push(request)
        options.signal?.addEventListener('abort', () => {
          const index = queue.indexOf(request)
          if (index === -1) return
          queue.splice(index, 1)
          reject(new DOMException('aborted', 'AbortError'))
        })
        next(name)
      }),
  }
  return { locks, steals: () => steals }
}

/** BroadcastChannels: a message reaches the others of its name, later and in order. */
export function fakeChannels() {
  const open = new Map<Channel, { readonly name: string; readonly tab: FrozenTab }>()
  const sent: unknown[] = []
  const channelOf =
    (tab: FrozenTab) =>
    (name: string): Channel => {
      const channel: Channel = {
        onmessage: null,
        postMessage(message) {
          const data = structuredClone(message)
          sent.push(data)
          for (const [other, of] of open)
            if (other !== channel && of.name === name)
              setImmediate(() => inTab(of.tab, () => open.has(other) && other.onmessage?.({ data })))
        },
        close: () => void open.delete(channel),
      }
      open.set(channel, { name, tab })
      return channel
    }
  return { channelOf, sent }
}
