import type { ServerResponse } from 'node:http'
import type { Verifier } from '../exports.ts'

/** Whether the gate is alive, and whether it can judge tokens. */
export class GateHealth {
  #state: 'starting' | 'ready' | 'closing' = 'starting'
  readonly #verifier: Verifier

  constructor(verifier: Verifier) {
    this.#verifier = verifier
  }

  /**
   * Asks the issuer for keys and revocations until they are there.
   *
   * @param hasRevocations whether a copy of the feed ever came, if it is followed: `hydrate` waits for one try only
   */
  async start(pause: () => Promise<void>, hasRevocations: () => boolean): Promise<void> {
    while (this.#state === 'starting') {
      const hasKeys = await this.#verifier.hydrate().then(
        () => true,
        () => false, // onEvent has told why
      )
      if (!hasKeys || !hasRevocations()) await pause()
      else if (this.#state === 'starting') this.#state = 'ready'
    }
  }

  /** A gateway should ask another gate from now on. */
  closing(): void {
    this.#state = 'closing'
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  answer(path: '/health/live' | '/health/ready', reply: ServerResponse): void {
    const isGood = path === '/health/live' || this.isReady
    const body = JSON.stringify({ status: isGood ? 'ok' : this.#state })
    reply.writeHead(isGood ? 200 : 503, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(body)
  }
}
