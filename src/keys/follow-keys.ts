import { watch } from 'node:fs'
import type { KeysFolder } from './keys-folder.ts'

/** Together with the time to read the folder, well below the RELOAD_INTERVAL_SECONDS that plans rely on. */
const POLL_INTERVAL_MS = 1000

/**
 * Calls `reload` whenever the keys folder may have changed: at once when the operating system reports it, and every
 * second, because it does not always (network file systems, the symlinks that Kubernetes swaps). `reload` itself finds
 * out whether anything is new.
 *
 * @returns a function that stops it
 */
export function followKeys(folder: KeysFolder, reload: () => Promise<void>): () => void {
  const timer = setInterval(reload, POLL_INTERVAL_MS)
  timer.unref()
  const watcher = tryWatch(folder.dir, reload)
  return () => {
    clearInterval(timer)
    watcher?.close()
  }
}

function tryWatch(dir: string, reload: () => Promise<void>) {
  try {
    const watcher = watch(dir, { persistent: false }, reload)
    watcher.on('error', () => watcher.close()) // the folder was replaced; polling goes on
    return watcher
  } catch {
    return undefined
  }
}
