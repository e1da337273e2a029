import { DeliveryError } from './delivery-error.ts'
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

/**
 * Delivers, and gives up after a while. What the transport still does then is a second delivery at worst.
 *
 * @throws DeliveryError
 */
export async function deliverInTime(
  transport: Transport,
  letter: Letter,
  withinMs = DELIVERY_TIMEOUT_SECONDS * 1000,
): Promise<Readonly<Record<string, string>>> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const giveUp = () => reject(new DeliveryError('it did not end in time', { unreachable: true }))
  const timer = setTimeout(giveUp, withinMs)
  try {
    return await Promise.race([transport.deliver(letter), late])
  } finally {
    clearTimeout(timer)
  }
}
