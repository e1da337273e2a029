import { type ParseArgsConfig, parseArgs } from 'node:util'
import { AppError, OperatorError } from '../../src/errors/app-error.ts'

/**
 * A command of a script. Every script has the same conventions: help with examples, --json, errors in one line, and the
 * exit codes 0 (done), 1 (refused or failed) and 2 (usage).
 */
export interface Command {
  /** The arguments after the name of the command, for the help: for example `<email>`. */
  readonly usage: string
  readonly summary: string
  readonly options?: NonNullable<ParseArgsConfig['options']>
  /** A line of help per option. */
  readonly optionHelp?: Readonly<Record<string, string>>
  readonly examples: readonly string[]
  /** How many arguments without a dash it takes. */
  readonly positionals: number
  /** The pattern of an argument that may begin with a dash and is no option: ids in base64url sometimes do. */
  readonly id?: RegExp
  run(input: Input): Promise<Result>
}

export interface Input {
  readonly positionals: readonly string[]
  readonly options: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>
}

export interface Result {
  /** For `--json`. */
  readonly json: unknown
  /** For a person. */
  readonly text: string
  /** 1 when there is something to fix, as with `check`. */
  readonly exitCode?: 0 | 1
}

export class UsageError extends Error {}

/** Runs the command that the arguments name and ends the process. */
export async function runScript(
  script: string,
  commands: Readonly<Record<string, Command>>,
  argv = process.argv.slice(2),
): Promise<never> {
  const [name = '', ...rest] = argv
  try {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined) {
      if (['', '--help', '-h', 'help'].includes(name)) return exit(overview(script, commands), name === '' ? 2 : 0)
      throw new UsageError(`there is no command ${JSON.stringify(name.slice(0, 40))}`)
    }
    const { values, positionals } = parse(command, rest)
    if (values.help === true) return exit(help(script, name, command), 0)
    if (positionals.length !== command.positionals)
      throw new UsageError(`usage: ${script} ${name} ${command.usage}`.trim())

    const { json, text, exitCode = 0 } = await command.run({ positionals, options: values })
    return exit(values.json === true ? JSON.stringify(json, null, 2) : text, exitCode)
  } catch (error) {
    return fail(script, name, commands, error)
  }
}

/**
 * A duration such as `6s`, `15m`, `12h` or `30d`.
 *
 * @returns seconds
 * @throws UsageError for anything else
 */
export function parseDuration(option: string, text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count === undefined || unit === undefined)
    throw new UsageError(`--${option} takes a duration such as 6s, 15m, 12h or 30d`)
  return Number(count) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit as 's' | 'm' | 'h' | 'd']
}

/** Rows as aligned columns under a head line. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [head, ...rows].map(line).join('\n')
}

function parse(command: Command, args: string[]) {
  const common = { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } } as const
  try {
    const isId = (arg: string) => command.id?.test(arg) === true && !Object.hasOwn(command.options ?? {}, arg.slice(2))
    const ordered = [...args.filter((arg) => !isId(arg)), '--', ...args.filter(isId)]
    return parseArgs({ args: ordered, options: { ...command.options, ...common }, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n', 1)[0])
  }
}

function fail(script: string, name: string, commands: Readonly<Record<string, Command>>, error: unknown): never {
  const hint = error instanceof OperatorError ? error.hint : undefined
  if (error instanceof UsageError)
    return refuse(error.message, `npm run ${script} -- ${Object.hasOwn(commands, name) ? `${name} ` : ''}--help`, 2)
  if (error instanceof OperatorError) return refuse(error.message, hint, 1)
  if (error instanceof AppError)
    return refuse(
      error.detail ?? [error.message, ...(error.fields ?? []).map((f) => f.message)].join(' '),
      undefined,
      1,
    )
  return refuse((error as Error).stack ?? String(error), 'this is a bug: please report it', 1)

  function refuse(message: string, hint: string | undefined, code: number): never {
    process.stderr.write(`${script}: error: ${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`)
    process.exit(code)
  }
}

function exit(text: string, code: number): never {
  process.stdout.write(`${text}\n`)
  process.exit(code)
}

function overview(script: string, commands: Readonly<Record<string, Command>>): string {
  const rows = Object.entries(commands).map(([name, { usage, summary }]) => [`  ${name} ${usage}`.trimEnd(), summary])
  const list = table(['Commands', ''], rows)
  return `Usage: npm run ${script} -- <command>\n\n${list}\n\nEach command takes --help and --json.`
}

function help(script: string, name: string, { usage, summary, optionHelp = {}, examples }: Command): string {
  const options = Object.entries({ ...optionHelp, '--json': 'print the answer as JSON' }).map(([option, text]) => [
    `  ${option}`,
    text,
  ])
  return [
    `Usage: npm run ${script} -- ${name} ${usage}`.trimEnd(),
    summary,
    table(['Options', ''], options),
    `Examples\n${examples.map((example) => `  npm run -s ${script} -- ${example}`).join('\n')}`,
  ].join('\n\n')
}
