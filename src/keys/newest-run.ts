/**
 * One run at a time. Who asks while one is under way gets the next one, and all who ask meanwhile share it: the run
 * that is under way may have looked before the change that they ask for.
 *
 * @returns a function that resolves or rejects as the run does which began after its call
 */
export function newestRun(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const start = (): Promise<void> => {
    next = undefined
    running = run().finally(() => {
      running = undefined
    })
    return running
  }
  return () => {
    if (running === undefined && next === undefined) return start()
    next ??= (running as Promise<void>).catch(() => undefined).then(start)
    return next
  }
}
