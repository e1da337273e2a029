import type { Letter } from './message.ts'

/** No attempt takes longer, whatever the other side does. */
export const DELIVERY_TIMEOUT_SECONDS = 45

/** A way by which messages leave. */
export interface Transport {
  /**
   * Delivers one message. It may be called again with the same one: receivers know it by its `messageId`.
   *
   * @returns what the log says about it: never an address, never the content
   * @throws DeliveryError when it was not delivered, or nobody knows
   */
  deliver(letter: Letter): Promise<Readonly<Record<string, string>>>
  close(): void
}
