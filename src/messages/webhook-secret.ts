import { OperatorError } from '../errors/app-error.ts'
import { readPassphraseLine } from '../keys/passphrase.ts'

const MIN_BYTES = 16

/**
 * Reads the secret that signs the calls of the webhook: the first line of the file.
 *
 * @throws OperatorError when the file can't be read, or its first line is shorter than 16 bytes
 */
export async function readWebhookSecret(file: string): Promise<Buffer> {
  const secret = await readPassphraseLine('MAIL_WEBHOOK_SECRET_FILE', file)
  if (secret.byteLength >= MIN_BYTES) return secret
  throw new OperatorError(`MAIL_WEBHOOK_SECRET_FILE: the first line of ${file} has fewer than ${MIN_BYTES} bytes`, {
    hint: 'openssl rand -base64 32 makes a good one',
  })
}
