import type { Postgres } from './postgres.ts'

/** What a failure is run with. */
export interface Run {
  /** A folder of its own, gone when the run is over. */
  readonly folder: string
  /** How often, for those that are repeated. */
  readonly times: number
  /** Seconds that an outage or a load lasts. */
  readonly seconds: number
  /** Milliseconds between two requests of a client, where that may be chosen. */
  readonly pause?: number
  /** A PostgreSQL of the run; started by whoever asks first. */
  postgres(): Promise<Postgres>
}

export interface Outcome {
  /** One line. */
  readonly figures: string
  /** What must not have happened. Empty when all is well. */
  readonly faults: readonly string[]
}

export interface Failure {
  readonly title: string
  run(run: Run): Promise<Outcome>
}

/** What a system or a user can not do, say mount a file system: the failure is left out, and the line says why. */
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
