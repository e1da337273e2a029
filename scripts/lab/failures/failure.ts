import type { Postgres } from './postgres.ts'

/** The parameters of a run. */
export interface Run {
  /** A folder of its own, deleted at the end of the run. */
  readonly folder: string
  /** How often a repeated failure is repeated. */
  readonly times: number
  /** Seconds that an outage or a load lasts. */
  readonly seconds: number
  /** Milliseconds between two requests of a client, where that may be chosen. */
  readonly pause?: number
  /**
   * Called with the keys folder, still to be made, of each new service.
   *
   * @returns options of Node for its servers
   */
  readonly prepare?: (keysDir: string) => Promise<string>
  /** The PostgreSQL of the run, started at the first call. */
  postgres(): Promise<Postgres>
}

export interface Outcome {
  /** One line. */
  readonly figures: string
  /** What went wrong. Empty when the failure did no harm. */
  readonly faults: readonly string[]
}

export interface Failure {
  readonly title: string
  run(run: Run): Promise<Outcome>
}

/**
 * Thrown when this system or user can't cause the failure, for example can't mount a file system. The failure is
 * skipped, and its line says why.
 */
export class Unavailable extends Error {}

/** Faults by kind: a thousand equal ones are one line. */
export class Faults {
  readonly #counts = new Map<string, number>()

  add(fault: string): void {
    this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1)
  }

  expect(condition: boolean, fault: string): void {
    if (!condition) this.add(fault)
  }

  list(): string[] {
    return [...this.#counts].map(([fault, count]) => (count === 1 ? fault : `${fault} (${count} times)`))
  }
}
