/** The functions that one end offers to the other, with plain data in and out. */
export type Calls = { readonly [name: string]: (...args: never[]) => unknown }

type Arguments<All extends Calls, Name extends keyof All> = Parameters<All[Name]>
type Answer<All extends Calls, Name extends keyof All> = Awaited<ReturnType<All[Name]>>

export interface Rpc<Theirs extends Calls> {
  /**
   * Calls a function of the other end.
   *
   * @param options.late gets an answer that came after the timeout
   * @throws NoAnswer when no answer comes in time, the other end failed or is gone, or too many calls are open
   */
  call<Name extends keyof Theirs & string>(
    name: Name,
    args: Arguments<Theirs, Name>,
    options: { readonly timeoutMs: number; readonly late?: (answer: Answer<Theirs, Name>) => void },
  ): Promise<Answer<Theirs, Name>>
  /** Takes a message of the channel; messages that are not ours are ignored. */
  receive(message: unknown): void
  /** Call it when the other end is gone: every open call rejects at once. */
  close(): void
}

export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

type Message =
  | { readonly call: string; readonly id: number; readonly args: readonly never[] }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly failed: true }

interface Options {
  /** Sends a message through the channel. May throw when the channel is closed. */
  readonly send: (message: Message) => void
  /** The functions that the other end may call. */
  readonly calls: Calls
  /**
   * How many calls may be open, including those that timed out: so an end that never answers does not fill the memory.
   */
  readonly mostOpen?: number
}

/** Remote calls between two processes, over a channel that keeps the order and loses nothing while both live. */
export function createRpc<Theirs extends Calls>({ send, calls, mostOpen = 10_000 }: Options): Rpc<Theirs> {
  const open = new Map<number, (outcome: { readonly value: unknown } | { readonly failed: string }) => void>()
  let count = 0
  let closed = false

  const answer = async ({ call: name, id, args }: Extract<Message, { call: string }>) => {
    let reply: Message = { answer: id, failed: true }
    try {
      const call = Object.hasOwn(calls, name) ? calls[name] : undefined
      if (call !== undefined) reply = { answer: id, value: await call(...args) }
    } catch {} // the caller learns that the call failed, but not why
    try {
      send(reply)
    } catch {} // the other end is gone
  }

  return {
    call(name, args, { timeoutMs, late }) {
      if (closed) return Promise.reject(new NoAnswer('the other process is gone'))
      if (open.size >= mostOpen) return Promise.reject(new NoAnswer('too many calls are open'))
      count += 1
      const id = count
      return new Promise((resolve, reject) => {
        let waiting = true
        const giveUp = (reason: string) => {
          waiting = false
          clearTimeout(timer)
          reject(new NoAnswer(reason))
        }
        const timer = setTimeout(() => giveUp('the other process does not answer'), timeoutMs)
        open.set(id, (outcome) => {
          open.delete(id)
          if ('failed' in outcome) return giveUp(outcome.failed)
          clearTimeout(timer)
          const value = outcome.value as Answer<Theirs, typeof name>
          if (waiting) resolve(value)
          else late?.(value)
        })
        try {
          send({ call: name, id, args })
        } catch (error) {
          open.get(id)?.({ failed: (error as Error).message })
        }
      })
    },
    receive(message) {
      const received = message as Partial<Extract<Message, { call: string }>> & { answer?: number; value?: unknown }
      if (typeof received?.call === 'string') void answer(received as Extract<Message, { call: string }>)
      else if (typeof received?.answer === 'number')
        open.get(received.answer)?.(
          'failed' in received ? { failed: 'the other process failed' } : { value: received.value },
        )
    },
    close() {
      closed = true
      for (const settle of [...open.values()]) settle({ failed: 'the other process is gone' })
    },
  }
}
