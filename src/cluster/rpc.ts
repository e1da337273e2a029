/** What one end of a line can be asked: functions with plain data in and out. */
export type Calls = { readonly [name: string]: (...args: never[]) => unknown }

type Arguments<All extends Calls, Name extends keyof All> = Parameters<All[Name]>
type Answer<All extends Calls, Name extends keyof All> = Awaited<ReturnType<All[Name]>>

export interface Line<Theirs extends Calls> {
  /**
   * Asks the other end.
   *
   * @param options.patience milliseconds
   * @param options.late gets an answer that came when nobody waited for it any more
   * @throws NoAnswer when none comes in time, the other end failed or is gone, or too many questions are open
   */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    args: Arguments<Theirs, Name>,
    options: { readonly patience: number; readonly late?: (answer: Answer<Theirs, Name>) => void },
  ): Promise<Answer<Theirs, Name>>
  /** Takes a message of the channel; those that are not of this line are left alone. */
  receive(message: unknown): void
  /** The other end is gone: whoever waits for it learns so at once. */
  close(): void
}

export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

type Message =
  | { readonly ask: string; readonly id: number; readonly args: readonly never[] }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly failed: true }

interface Options {
  /** Hands a message to the channel. May throw when it is closed. */
  readonly send: (message: Message) => void
  /** What the other end may ask here. */
  readonly calls: Calls
  /** Questions that may be open, those that nobody waits for any more included: a silent other end costs no memory. */
  readonly mostOpen?: number
}

/** Questions and answers between two processes, over a channel that keeps the order and loses nothing while both live. */
export function createLine<Theirs extends Calls>({ send, calls, mostOpen = 10_000 }: Options): Line<Theirs> {
  const open = new Map<number, (outcome: { readonly value: unknown } | { readonly failed: string }) => void>()
  let count = 0
  let closed = false

  const answer = async ({ ask, id, args }: Extract<Message, { ask: string }>) => {
    let reply: Message = { answer: id, failed: true }
    try {
      const call = Object.hasOwn(calls, ask) ? calls[ask] : undefined
      if (call !== undefined) reply = { answer: id, value: await call(...args) }
    } catch {} // whoever asked learns that it failed; why is the business of this end
    try {
      send(reply)
    } catch {} // it is gone
  }

  return {
    ask(name, args, { patience, late }) {
      if (closed) return Promise.reject(new NoAnswer('the other process is gone'))
      if (open.size >= mostOpen) return Promise.reject(new NoAnswer('too many questions are open'))
      count += 1
      const id = count
      return new Promise((resolve, reject) => {
        let waiting = true
        const giveUp = (reason: string) => {
          waiting = false
          clearTimeout(timer)
          reject(new NoAnswer(reason))
        }
        const timer = setTimeout(() => giveUp('the other process does not answer'), patience)
        open.set(id, (outcome) => {
          open.delete(id)
          if ('failed' in outcome) return giveUp(outcome.failed)
          clearTimeout(timer)
          const value = outcome.value as Answer<Theirs, typeof name>
          if (waiting) resolve(value)
          else late?.(value)
        })
        try {
          send({ ask: name, id, args })
        } catch (error) {
          open.get(id)?.({ failed: (error as Error).message })
        }
      })
    },
    receive(message) {
      const received = message as Partial<Extract<Message, { ask: string }>> & { answer?: number; value?: unknown }
      if (typeof received?.ask === 'string') void answer(received as Extract<Message, { ask: string }>)
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
