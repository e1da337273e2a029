import type { Stage } from './target.ts'

/** A Stage outside of a test. */
export function createStage(): Stage & { end(): Promise<void> } {
  const endings: (() => unknown)[] = []
  return {
    teardown: (ending: () => unknown) => void endings.push(ending),
    async end() {
      for (const ending of endings.reverse()) await ending()
    },
  }
}
