import type fc from 'fast-check'
import type { Test } from 'tap'

/** The part of a tap test that a target needs: teardown, for what has to be ended. */
export type Stage = Pick<Test, 'teardown'>

/** Something that is attacked with generated input. */
export interface Target {
  /** For `--only`. */
  readonly name: string
  /** Starts the attacked part once; the property is then checked again and again. */
  prepare(stage: Stage): Promise<Trial>
}

export interface Trial {
  readonly property: fc.IAsyncProperty<never> | fc.IAsyncProperty<unknown>
  /** Throws unless the attacked part still works. */
  wellbeing(): Promise<void>
}

/** @throws Error with all complaints, if there are any */
export function demandNone(complaints: readonly string[]): void {
  if (complaints.length > 0) throw new Error(complaints.join('; '))
}

export function demand(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise)
}
