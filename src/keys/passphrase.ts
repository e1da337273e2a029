import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { OperatorError } from '../errors/app-error.ts'

/** OpenSSL opens no key with a longer one, though it writes them. */
export const MAX_PASSPHRASE_BYTES = 1024

/**
 * Reads the passphrase of the keys folder: the first line of the file.
 *
 * @returns undefined when no file is configured
 * @throws OperatorError when the file can't be read, or its first line is empty, too long or no UTF-8: other bytes
 *   would all become U+FFFD, and different files would open the same key
 */
export async function readPassphrase(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const line = await readPassphraseLine('KEY_PASSPHRASE_FILE', file)
  if (!isUtf8(line)) {
    throw new OperatorError(`KEY_PASSPHRASE_FILE: the first line of ${file} is not UTF-8`, {
      hint: 'keys/README.md says how to go on with keys that were made with it',
    })
  }
  return line.toString('utf8')
}

/**
 * The first line of a file, as it is.
 *
 * @param name of the setting or option that names the file, for error messages
 * @throws OperatorError when the file can't be read, or the line is empty or longer than MAX_PASSPHRASE_BYTES
 */
export async function readPassphraseLine(name: string, file: string): Promise<Buffer> {
  const bytes = await readFile(file).catch((cause) => {
    throw new OperatorError(`${name}: can't read ${file}: ${cause.code}`, {
      cause,
      hint: 'make it readable for the user who runs this',
    })
  })
  const end = bytes.indexOf(0x0a)
  const whole = end === -1 ? bytes : bytes.subarray(0, end)
  const line = end !== -1 && whole.at(-1) === 0x0d ? whole.subarray(0, -1) : whole
  if (line.length === 0) throw new OperatorError(`${name}: the first line of ${file} is empty`)
  if (line.length > MAX_PASSPHRASE_BYTES) {
    throw new OperatorError(
      `${name}: the first line of ${file} has ${line.length} bytes, and at most ${MAX_PASSPHRASE_BYTES} are possible`,
      {
        hint: 'keys that are encrypted with a longer one can never be opened: openssl rand -base64 32 makes a good one',
      },
    )
  }
  return line
}
