/**
 * Why a message could not be delivered. Its text goes into the log and into the outbox: it never holds an address, a
 * token or a password.
 */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  /** True when no later attempt can succeed. */
  readonly permanent: boolean
  /** True when the fault is not the message's: nothing can be delivered now. */
  readonly unreachable: boolean

  constructor(message: string, options: { permanent?: boolean; unreachable?: boolean } = {}) {
    super(message)
    this.permanent = options.permanent ?? false
    this.unreachable = options.unreachable ?? false
  }
}
