/**
 * For a measurement without options: prints what it does and ends the process when it is given any, such as `--help`.
 *
 * @param usage what is measured, and how long it takes
 */
export function takesNoOptions(usage: string): void {
  const [option] = process.argv.slice(2)
  if (option === undefined) return
  const isHelp = option === '--help' || option === '-h'
  process.stderr.write(isHelp ? `${usage}\n` : `unknown option ${option}\n${usage}\n`)
  process.exit(isHelp ? 0 : 1)
}
