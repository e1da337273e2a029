import type { Letter } from '../../src/messages/message.ts'
import type { TestServer } from './app.ts'
import { deliverMessages } from './messages.ts'

/** What the owner of a mailbox sees, and what a page of the application takes from a link. */
export interface Mail {
  readonly to: string
  readonly kind: Letter['kind']
  readonly token: string
  readonly code: string
  readonly letter: Letter
}

/** Sends what waits in the outbox of a server. @returns the messages, in any order */
export async function mailOf(server: TestServer & { now?: () => number }): Promise<Mail[]> {
  const letters = await deliverMessages(server, server.now && { now: server.now })
  return letters.map((letter) => ({
    to: letter.to,
    kind: letter.kind,
    token: /#token=(sot_[\w-]{43})$/.exec(letter.data.link ?? '')?.[1] ?? '',
    code: letter.data.code ?? '',
    letter,
  }))
}

/** The one message that waits. */
export async function onlyMail(server: TestServer & { now?: () => number }): Promise<Mail> {
  const [mail, ...more] = await mailOf(server)
  if (mail === undefined || more.length > 0) throw new Error(`${more.length + (mail ? 1 : 0)} messages wait`)
  return mail
}
