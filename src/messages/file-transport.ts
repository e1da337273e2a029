import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { toTimestamp } from '../clock.ts'
import { syncFolder } from '../keys/keys-folder.ts'
import { DeliveryError } from './delivery-error.ts'
import { mailOf } from './mail.ts'
import type { Transport } from './transport.ts'

/**
 * Writes each message into a file of its own, `<time>-<id>.eml`, which mail programs open. A file is there whole or not
 * at all, and only this user can read it: it holds the message's secrets. A second delivery of a message replaces its
 * file.
 */
export function createFileTransport({ dir, from }: { dir: string; from: string }): Transport {
  return {
    async deliver(letter) {
      const { default: MailComposer } = await import('nodemailer/lib/mail-composer')
      const text = await new MailComposer(mailOf(letter, from)).compile().build()
      const id = letter.messageId.replace(/@.*$/, '')
      const name = `${toTimestamp(letter.date).replaceAll(':', '-')}-${id}.eml`
      await writeWhole(dir, name, text).catch((cause: NodeJS.ErrnoException) => {
        throw new DeliveryError(`MAIL_URL: can't write in ${dir}: ${cause.code}`, { unreachable: true })
      })
      return { file: join(dir, name) }
    },
    close: () => undefined,
  }
}

async function writeWhole(dir: string, name: string, text: Buffer): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const unfinished = join(dir, `.${name}.tmp`)
  await rm(unfinished, { force: true }) // of a process that was killed
  const file = await open(unfinished, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(unfinished, join(dir, name))
  await syncFolder(dir)
}
