import type { Stage } from './target.ts'

/** A stage without a test around it. */
export function createStage(): Stage & { end(): Promise<void> } {
  const endings: (() => unknown)[] = []
  return {
    teardown: (ending: () => unknown) => void endings.push(ending),
    async end() {
      for (const ending of endings.reverse()) await ending()
    },
  }
}
