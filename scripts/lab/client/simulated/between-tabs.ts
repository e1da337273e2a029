import type { Channel, LockOptions, Locks } from '../../../../src/client/index.ts'

// What the tabs of one simulated browser share. Node has both by itself, but one set for the whole process, and nothing
// that tells when a message has arrived.

interface Waiting {
  readonly start: () => void
}

/** Web Locks (https://www.w3.org/TR/web-locks/): exclusive, with `signal` and `steal`. */
export function simulatedLocks(): Locks {
  const queues = new Map<string, Waiting[]>()
  const holders = new Map<string, { readonly lose: () => void }>()
  const next = (name: string) => {
    if (!holders.has(name)) queues.get(name)?.shift()?.start()
  }
  return {
    request: (name: string, { signal, steal }: LockOptions, work: () => Promise<void>) =>
      new Promise<void>((resolve, reject) => {
        const queue = queues.get(name) ?? []
        queues.set(name, queue)
        const start = () => {
          const holder = { lose: () => reject(new DOMException('stolen', 'AbortError')) }
          holders.set(name, holder)
          const end = () => {
            if (holders.get(name) === holder) holders.delete(name)
            next(name)
          }
          setImmediate(() => void work().then(resolve, reject).finally(end))
        }
        const waiting = { start }
        signal?.addEventListener('abort', () => {
          const index = queue.indexOf(waiting)
          if (index === -1) return
          queue.splice(index, 1)
          reject(new DOMException('aborted', 'AbortError'))
        })
        if (steal) {
          holders.get(name)?.lose()
          holders.delete(name)
          queue.unshift(waiting)
        } else queue.push(waiting)
        next(name)
      }),
  }
}

/** BroadcastChannels: a message reaches all others of the same name, later and in order. */
export function simulatedChannels(): (name: string) => Channel {
  const open = new Map<Channel, string>()
  return (name) => {
    const channel: Channel = {
      onmessage: null,
      postMessage(message) {
        const data = structuredClone(message)
        for (const [other, its] of open)
          if (other !== channel && its === name) setImmediate(() => open.has(other) && other.onmessage?.({ data }))
      },
      close: () => void open.delete(channel),
    }
    open.set(channel, name)
    return channel
  }
}
