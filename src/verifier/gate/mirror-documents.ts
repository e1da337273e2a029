import { boundedFetch, failure } from '../../http/bounded-fetch.ts'
import type { StopSignal } from '../../timers.ts'
import type { JwksCopy } from '../keys/jwks-copy.ts'
import { ageSeconds, maxAgeSeconds } from '../keys/jwks-reply.ts'
import { SingleFlight } from '../single-flight.ts'
import { parsedObject } from '../store/stored-text.ts'

/** The metadata has some thirty members. */
const MAX_BYTES = 64 * 1024
const TIMEOUT_MS = 5000
/** From a failed request to the next one. */
const BACK_OFF_MS = 2000
/** What can't be fetched again is served for as long after its `max-age`, as keys are. */
const STALE_MS = 86_400_000

/** A text as the issuer sent it. Instants are milliseconds of the monotonic clock. */
export interface MirroredText {
  readonly text: string
  readonly etag: string | undefined
  readonly madeAt: number
  /** Milliseconds for which it may be kept. */
  readonly lifetime: number
  readonly goodUntil: number
}

/** The JWKS that the verifier uses. It has no signature: what is served is what the verifier itself goes by. */
export class MirrorKeys {
  readonly #monotonic: () => number
  #copy: JwksCopy | undefined
  #seek: (kid: string) => Promise<void> = async () => undefined

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
  }

  begin(keys: { seek(kid: string): Promise<void> }): void {
    this.#seek = (kid) => keys.seek(kid)
  }

  keysCame(copy: JwksCopy): void {
    this.#copy = copy
  }

  /**
   * @param kid that is searched: for one that is not in the copy the issuer is asked, as seldom as for tokens
   * @returns undefined without good keys, and when the issuer could not be asked for this kid: it may be good
   */
  async text(kid: string | undefined): Promise<MirroredText | undefined> {
    if (kid !== undefined && this.#copy?.pems.has(kid) !== true) {
      const isAnswered = await this.#seek(kid).then(
        () => true,
        () => false, // told by onEvent
      )
      if (!isAnswered) return undefined
    }
    return this.#copy !== undefined && this.#monotonic() < this.#copy.goodUntil ? this.#copy : undefined
  }
}

interface MetadataOptions {
  readonly issuer: string
  readonly fetch: typeof fetch
  readonly monotonic: () => number
  readonly signal: StopSignal
  /** Told why it could not be fetched. */
  readonly onFailure: (reason: string) => void
}

/** The metadata of the issuer (RFC 8414): fetched when it is asked for, and kept for its `max-age`. */
export class MirrorMetadata {
  readonly #options: MetadataOptions
  readonly #fetching: SingleFlight<void>
  #copy: MirroredText | undefined
  #failedAt = Number.NEGATIVE_INFINITY

  constructor(options: MetadataOptions) {
    this.#options = options
    this.#fetching = new SingleFlight(options.monotonic, 2 * TIMEOUT_MS)
  }

  /** @returns undefined when there is no copy and none can be had */
  async text(): Promise<MirroredText | undefined> {
    const { monotonic, onFailure } = this.#options
    const now = monotonic()
    const isFresh = this.#copy !== undefined && now < this.#copy.madeAt + this.#copy.lifetime
    if (!isFresh && now >= this.#failedAt + BACK_OFF_MS)
      await this.#fetching.run(() =>
        this.#fetch().catch((error) => {
          this.#failedAt = monotonic()
          onFailure(failure(error))
        }),
      )
    return this.#copy !== undefined && monotonic() < this.#copy.goodUntil ? this.#copy : undefined
  }

  /** @throws Error for what is no metadata of this issuer (RFC 8414 section 3.3) */
  async #fetch(): Promise<void> {
    const { issuer, fetch, monotonic, signal } = this.#options
    const began = monotonic()
    const url = new URL(`${issuer}/.well-known/oauth-authorization-server`)
    const { text, headers } = await boundedFetch(url, { fetch, timeout: TIMEOUT_MS, maxBytes: MAX_BYTES, signal })
    if (parsedObject(text)?.issuer !== issuer) throw new Error('the metadata is not that of the issuer')
    const madeAt = began - ageSeconds(headers) * 1000
    const lifetime = maxAgeSeconds(headers) * 1000
    const etag = headers.get('etag') ?? undefined
    this.#copy = { text, etag, madeAt, lifetime, goodUntil: madeAt + lifetime + STALE_MS }
  }
}
