import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A page in a tab. */
export interface BrowserTab {
  /** Evaluates an expression, waits for its promise, and returns what JSON can say of the result. */
  evaluate<T>(expression: string): Promise<T>
  reload(): Promise<void>
  /** Cuts the tab off, if this browser can do that. @returns false if it can't */
  setOffline(isOffline: boolean): Promise<boolean>
}

export interface Browser {
  readonly version: string
  open(url: string): Promise<BrowserTab>
  close(): Promise<void>
}

const START_TIMEOUT_MS = 60_000

/** Where distributions put them. */
const PROGRAMS = {
  chromium: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
  firefox: ['/usr/bin/firefox-esr', '/usr/bin/firefox'],
}
export type BrowserName = keyof typeof PROGRAMS
export const BROWSERS = Object.keys(PROGRAMS) as BrowserName[]

/** @returns undefined when this machine has none */
export const programOf = (name: BrowserName): string | undefined => PROGRAMS[name].find((path) => existsSync(path))

export interface Started {
  /** Of its remote protocol. */
  readonly url: string
  readonly profile: string
  end(): Promise<void>
}

/**
 * Starts a browser with a profile of its own, in a process group of its own, which is killed at the end.
 *
 * @param args of the program, by the folder of its profile
 * @param prepare writes into the profile before the start
 */
export async function startBrowser(
  program: string,
  args: (profile: string) => string[],
  prepare: (profile: string) => Promise<void> = async () => undefined,
): Promise<Started> {
  const profile = await mkdtemp(join(tmpdir(), 'signet-browser-'))
  await prepare(profile)
  const child = spawn(program, args(profile), {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: profile, TMPDIR: profile, LANG: 'C' },
  })
  const kill = () => killGroup(child)
  process.on('exit', kill)
  const end = async () => {
    process.off('exit', kill)
    const ended = child.exitCode !== null || child.signalCode !== null
    const exit = ended ? undefined : new Promise((resolve) => child.once('exit', resolve))
    kill()
    await exit
    await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }).catch(() => undefined)
  }
  try {
    return { url: await addressOf(child), profile, end }
  } catch (error) {
    await end()
    throw error
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  let said = ''
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4000)
      const [url] = /ws:\/\/[\w.:[\]]+[\w/-]*(?=\s)/.exec(said) ?? []
      if (url !== undefined) resolve(url)
    })
    setTimeout(() => reject(new Error(`it does not say where it listens: ${said}`)), START_TIMEOUT_MS).unref()
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`the browser ended: ${said}`)))
  })
}
