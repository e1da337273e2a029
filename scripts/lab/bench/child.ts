import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { OperatorError } from '../../../src/errors/app-error.ts'

const PRELOAD = ['./src/require-node.js', './scripts/lab/bench/end-with-runner.ts'].flatMap((file) => [
  '--import',
  file,
])

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** A process that has not ended by itself in this time is killed. */
const EXIT_TIMEOUT_MS = 5000

/** Clock ticks of `/proc/PID/stat` per second: a constant of the kernel's interface to programs. */
const CLOCK_TICKS_PER_SECOND = 100

const living = new Set<Child>()
// Last resort: however this process ends, what it started ends with it.
process.on('exit', () => {
  for (const child of living) child.process.kill('SIGKILL')
})

interface Start {
  /** Script and its arguments, from the root of the project. */
  readonly args: readonly string[]
  /** Added to the few variables that every process of a run gets. */
  readonly env?: Readonly<Record<string, string>>
  /** Core to pin it to. */
  readonly core?: number | undefined
  /** True when its standard output is read later. */
  readonly keepOutput?: boolean
}

/** A Node process of this run. */
export class Child implements AsyncDisposable {
  readonly process: ChildProcess
  readonly #name: string
  #complaint = ''
  #output = ''

  constructor({ args, env, core, keepOutput = false }: Start) {
    const node = [process.execPath, ...PRELOAD, ...args]
    const [command = '', ...rest] = core === undefined ? node : ['taskset', '-c', String(core), ...node]
    this.#name = args[0] ?? ''
    this.process = spawn(command, rest, {
      cwd: ROOT,
      env: { ...inherited(), ...env },
      stdio: ['ignore', keepOutput ? 'pipe' : 'ignore', 'pipe', 'ipc'],
    })
    living.add(this)
    this.process.stderr?.on('data', (chunk) => {
      this.#complaint = `${this.#complaint}${chunk}`.slice(-2000)
    })
    this.process.stdout?.on('data', (chunk) => {
      this.#output += chunk
    })
    this.process.once('exit', () => living.delete(this))
    this.process.once('error', (error) => {
      this.#complaint = error.message
      living.delete(this)
    })
  }

  get ended(): boolean {
    return !living.has(this)
  }

  /** @throws OperatorError with what it wrote to standard error, once it has ended */
  assertRunning(): void {
    if (this.ended) throw this.failure()
  }

  failure(): OperatorError {
    return new OperatorError(
      `${this.#name} ended (${this.process.signalCode ?? this.process.exitCode}): ${this.#complaint.trim()}`,
    )
  }

  /**
   * Waits for a process that ends by itself.
   *
   * @returns its output, if `keepOutput` was set
   * @throws OperatorError when its exit code is not 0
   */
  async finished(): Promise<string> {
    if (!this.ended) await once(this.process, 'close')
    if (this.process.exitCode !== 0) throw this.failure()
    return this.#output
  }

  /**
   * Sends an order over the IPC channel.
   *
   * @returns the answer
   * @throws OperatorError when the process ends instead
   */
  async ask(order: object): Promise<unknown> {
    this.assertRunning()
    this.process.send(order)
    const ended = new AbortController()
    const [answer] = await Promise.race([
      once(this.process, 'message', { signal: ended.signal }),
      once(this.process, 'exit', { signal: ended.signal }).then(() => Promise.reject(this.failure())),
    ]).finally(() => ended.abort())
    return answer
  }

  /**
   * Sends SIGTERM, so that servers end as in production and write their compile cache; SIGKILL when that takes too
   * long.
   */
  async stop(): Promise<void> {
    if (this.ended) return
    const exited = once(this.process, 'exit')
    this.process.kill('SIGTERM')
    const timer = setTimeout(() => this.process.kill('SIGKILL'), EXIT_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Seconds of processor time that all its threads have used so far; undefined where there is no /proc. */
  cpuSeconds(): number | undefined {
    // The second field is the name of the program in parentheses, which may contain spaces.
    const fields = this.#proc('stat')
      ?.replace(/^.*\) /s, '')
      .split(' ')
    return fields && (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
  }

  /**
   * @returns resident memory in MB
   * @throws OperatorError where there is no /proc
   */
  residentMemory(): number {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(this.#proc('status') ?? '') ?? []
    if (kilobytes === undefined) throw new OperatorError('memory is read from /proc, and this system has none')
    return (Number(kilobytes) * 1024) / 1e6 // the kernel's kB are KiB
  }

  #proc(file: string): string | undefined {
    if (process.platform !== 'linux') return undefined
    this.assertRunning()
    return readFileSync(`/proc/${this.process.pid}/${file}`, 'utf8')
  }
}

/** The caller's settings must not reach the servers: an ISSUER or a LOG_LEVEL would change what is measured. */
export function inherited(): Record<string, string> {
  const names = ['PATH', 'SystemRoot', 'NODE_OPTIONS', 'UV_THREADPOOL_SIZE']
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}
