import { Gauge, type Registry } from 'prom-client'
import type { OutboxCounts } from '../messages/outbox-upkeep-store.ts'
import type { Sources } from './instrumentation.ts'

const STATES = ['waiting', 'sent', 'dropped', 'dead'] as const

/**
 * The outbox as the store has it: every process serves the same numbers, whichever one sends. Without the store there
 * are none.
 */
export function registerMessages(registry: Registry, { outbox, now }: Pick<Sources, 'outbox' | 'now'>): void {
  let asked: Promise<OutboxCounts | undefined> | undefined
  const counted = () => {
    asked ??= outbox
      .counts(now())
      .catch(() => undefined)
      .finally(() => {
        asked = undefined
      })
    return asked
  }
  new Gauge({
    name: 'signet_messages',
    aggregator: 'max',
    help: 'Messages in the outbox: waiting, sent or dropped in the last day, dead in the last 30 days',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const counts = await counted()
      for (const state of STATES) this.set({ state }, counts?.[state] ?? Number.NaN)
    },
  })
  new Gauge({
    name: 'signet_messages_oldest_seconds',
    aggregator: 'max',
    help: 'Age of the oldest message that waits; 0 when none does',
    registers: [registry],
    async collect() {
      this.set((await counted())?.oldestWaitingSeconds ?? Number.NaN)
    },
  })
}
