import type { Account } from '../../src/accounts/account.ts'
import { loadConfig } from '../../src/config/config.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { readPassphrase } from '../../src/keys/passphrase.ts'
import { type Operating, readPassword, remove, sendRecovery, setEmail, setPassword } from './account-recovery.ts'
import { type Command, type Result, UsageError } from './command-line.ts'

/** The commands of `npm run accounts` for somebody who can't get in, or who wants to be gone. */
export function recoveryCommands({
  ofAccount,
  shown,
}: {
  /** Does something to the account that the first positional names. */
  ofAccount: (
    positionals: readonly string[],
    work: (by: Operating, account: Account) => Promise<Result>,
  ) => Promise<Result>
  shown: (account: Account) => object
}): Readonly<Record<string, Command>> {
  const setPasswordOf: Command = {
    usage: '<email>',
    summary:
      'Set a password and end every session. It comes from a prompt without echo, or is the first line of standard ' +
      'input.',
    examples: ['set-password ops@example.com', 'set-password bot@example.com < password.txt'],
    positionals: 1,
    run: ({ positionals }) =>
      ofAccount(positionals, async (by, account) => {
        await setPassword(by, account, await readPassword('the password is as it was'))
        const suspended = account.status === 'active' ? '' : ' The account is still suspended.'
        return {
          json: shown(account),
          text: `${account.email}: the password is set, and every session ended.${suspended}`,
        }
      }),
  }

  const setEmailOf: Command = {
    usage: '<email> <new email>',
    summary: 'Set another address, which nobody has confirmed. The former address is not told, and sessions go on.',
    examples: ['set-email ada@example.com ada@example.org'],
    positionals: 2,
    run: ({ positionals }) =>
      ofAccount(positionals, async (by, account) => {
        const email = await setEmail(by, account, positionals[1] ?? '')
        return { json: shown({ ...account, email }), text: `${account.email}: the address is now ${email}` }
      }),
  }

  const deleteAccount: Command = {
    usage: '<email> --yes',
    summary: 'Delete an account with all its sessions. There is no way back.',
    options: { yes: { type: 'boolean' } },
    optionHelp: { '--yes': 'needed: it says that you mean it' },
    examples: ['delete ada@example.com --yes'],
    positionals: 1,
    run: ({ positionals, options }) => {
      if (options.yes !== true) throw new UsageError('delete needs --yes: there is no way back')
      return ofAccount(positionals, async (by, account) => {
        await remove(by, account)
        return { json: shown(account), text: `${account.email}: deleted` }
      })
    },
  }

  const sendRecoveryTo: Command = {
    usage: '<email>',
    summary: 'Send the owner a message to set a new password. A running server sends it.',
    examples: ['send-recovery ada@example.com'],
    positionals: 1,
    async run({ positionals }) {
      const { MAIL_URL, KEY_PASSPHRASE_FILE } = loadConfig()
      if (MAIL_URL === undefined)
        throw new OperatorError('MAIL_URL is not set: this server sends no messages', { hint: 'see set-password' })
      const passphrase = await readPassphrase(KEY_PASSPHRASE_FILE) // before root becomes somebody else
      return ofAccount(positionals, async (by, account) => {
        await sendRecovery(by, account, passphrase)
        const dropped = account.status === 'active' ? '' : ' The account is suspended: activate it first.'
        return { json: shown(account), text: `${account.email}: the message waits for a running server.${dropped}` }
      })
    },
  }

  return {
    'set-password': setPasswordOf,
    'set-email': setEmailOf,
    'send-recovery': sendRecoveryTo,
    delete: deleteAccount,
  }
}
