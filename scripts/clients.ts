import { readFile } from 'node:fs/promises'
import { Value } from '@sinclair/typebox/value'
import { NOTE_NOTHING } from '../src/administration/note-refusal.ts'
import { type AdministerClients, createAdministerClients } from '../src/clients/administer-clients.ts'
import {
  type Client,
  type ClientStatus,
  DEFAULT_OVERLAP_SECONDS,
  MAX_OVERLAP_SECONDS,
  NewClient,
} from '../src/clients/client.ts'
import { type ClientDefaults, clientReply } from '../src/clients/client-reply.ts'
import { createClientStore } from '../src/clients/client-store.ts'
import { systemClock, toTimestamp } from '../src/clock.ts'
import { AppError, OperatorError } from '../src/errors/app-error.ts'
import {
  type Command,
  type Input,
  parseDuration,
  type Result,
  runScript,
  table,
  UsageError,
} from './cli/command-line.ts'
import { withDatabase } from './cli/with-database.ts'

/** The source in the audit rows of this script. */
const OPERATOR = { actorId: undefined, source: { ip: null, userAgent: 'clients script', requestId: null } }
const many = { type: 'string', multiple: true } as const
const one = { type: 'string' } as const

const create: Command = {
  usage: '--name <name> [--scope <scope>]... [--audience <audience>]... [--ttl <duration>]',
  summary: 'Register an OAuth client and print its secret, which is never shown again.',
  options: { name: one, scope: many, audience: many, ttl: one, jwks: one, 'jwks-uri': one },
  optionHelp: {
    '--name <name>': 'by which people recognise the client',
    '--scope <scope>': 'scope that it may ask for; may be repeated, or space-separated',
    '--audience <audience>': 'audience that its tokens may have; may be repeated (default: AUDIENCE)',
    '--ttl <duration>': 'how long its tokens live, 60s to 15m (default: ACCESS_TOKEN_TTL)',
    '--jwks <file>': 'its public keys as a JWK set: it signs assertions (private_key_jwt) and has no secret',
    '--jwks-uri <address>': 'https address of its public keys, instead of a file (private_key_jwt)',
  },
  examples: [
    'create --name billing --scope "invoices:read invoices:write"',
    'create --name reports --scope reports:read --audience https://reports.example.com --ttl 5m --json',
    'create --name partner --scope orders:read --jwks partner.json',
    'create --name siem --scope signet:audit:read',
  ],
  positionals: 0,
  run: async ({ options }) => {
    const input = await newClient(options)
    return withClients(async (administer, defaults) => {
      const { client, secret } = await administer.create(input, OPERATOR)
      const { client_id, ...rest } = clientReply(client, defaults)
      const json = { client_id, client_secret: secret, ...rest }
      const shown =
        secret === undefined ? '' : `\nclient_secret  ${secret}\nThe secret is not stored and not shown again.`
      return { json, text: `created ${client.name}\nclient_id      ${client.id}${shown}` }
    })
  },
}

const list: Command = {
  usage: '',
  summary: 'List all clients, oldest first.',
  examples: ['list', 'list --json'],
  positionals: 0,
  run: () =>
    withClients(async (administer, defaults) => {
      const all = (await everyClient(administer)).map((client) => clientReply(client, defaults))
      const rows = all.map((client) => [
        client.name,
        client.status,
        client.token_endpoint_auth_method,
        client.scope || '-',
        client.created_at,
        client.client_id,
      ])
      const head = ['NAME', 'STATUS', 'SHOWS', 'SCOPE', 'CREATED', 'ID']
      return { json: all, text: rows.length === 0 ? 'no clients yet' : table(head, rows) }
    }),
}

const rotateSecret: Command = {
  usage: '<client id> [--overlap <duration>]',
  summary: 'Print a new secret. The previous one stays valid for the overlap, an older one ends now.',
  options: { overlap: one },
  optionHelp: { '--overlap <duration>': 'how long the previous secret stays valid, 0s to 30d (default: 24h)' },
  examples: ['rotate-secret client_…', 'rotate-secret client_… --overlap 1h', 'rotate-secret client_… --overlap 0s'],
  positionals: 1,
  run: ({ positionals: [id = ''], options }) => {
    const overlap =
      typeof options.overlap === 'string' ? parseDuration('overlap', options.overlap) : DEFAULT_OVERLAP_SECONDS
    if (overlap > MAX_OVERLAP_SECONDS) throw new UsageError('--overlap is at most 30d')
    return withClients(async (administer) => {
      const { secret, previousExpiresAt } = await known(id, administer.rotateSecret(id, overlap, OPERATOR))
      const until = toTimestamp(previousExpiresAt)
      return {
        json: { client_id: id, client_secret: secret, previous_secret_expires_at: until },
        text: `client_secret  ${secret}\nThe previous secret is valid until ${until}.`,
      }
    })
  },
}

const setStatus = (name: string, status: ClientStatus, summary: string): Command => ({
  usage: '<client id>',
  summary,
  examples: [`${name} client_…`],
  positionals: 1,
  run: ({ positionals: [id = ''] }) =>
    withClients(async (administer, defaults) => {
      const client = await known(id, administer.setStatus(id, status, OPERATOR))
      return { json: clientReply(client, defaults), text: `${client.name} (${id}): is now ${status}` }
    }),
})

const remove: Command = {
  usage: '<client id>',
  summary: 'Delete a client: its tokens are refused everywhere within a second.',
  examples: ['delete client_…'],
  positionals: 1,
  run: ({ positionals: [id = ''] }) =>
    withClients(async (administer) => {
      await known(id, administer.remove(id, OPERATOR))
      return { json: { client_id: id, deleted: true }, text: `${id}: is deleted` }
    }),
}

await runScript('clients', {
  create,
  list,
  'rotate-secret': rotateSecret,
  disable: setStatus('disable', 'disabled', 'Disable a client: it gets no token, and those it has are refused.'),
  enable: setStatus('enable', 'active', 'Let a disabled client get tokens again.'),
  delete: remove,
})

/** @throws UsageError that names the option which is not accepted */
async function newClient(options: Input['options']): Promise<NewClient> {
  const { name, scope, audience, ttl, jwks } = options
  if (typeof name !== 'string') throw new UsageError('--name is needed')
  const given = {
    name,
    scope: ((scope ?? []) as string[]).join(' '),
    audience,
    ttl: typeof ttl === 'string' ? (/^\d{1,6}$/.test(ttl) ? Number(ttl) : parseDuration('ttl', ttl)) : undefined,
    jwks: typeof jwks === 'string' ? await readJwks(jwks) : undefined,
    jwks_uri: options['jwks-uri'],
  }
  const input = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const wrong = Value.Errors(NewClient, input).First()
  if (wrong === undefined) return input as NewClient
  const option = wrong.path.split('/')[1]?.replace('_', '-') ?? ''
  throw new UsageError(`--${option} is not acceptable: ${wrong.message.toLowerCase()}`)
}

async function readJwks(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new OperatorError(`--jwks: ${file} can not be read as JSON`, { cause })
  }
}

async function everyClient(administer: AdministerClients): Promise<Client[]> {
  const all: Client[] = []
  for (let page: Client[]; ; ) {
    page = await administer.page({ after: all.at(-1), limit: 1000 })
    all.push(...page)
    if (page.length < 1000) return all
  }
}

async function known<T>(id: string, work: Promise<T>): Promise<T> {
  return work.catch((error) => {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error
    throw new OperatorError(`there is no client ${JSON.stringify(id.slice(0, 64))}`, {
      hint: 'npm run clients -- list',
    })
  })
}

function withClients(
  work: (administer: AdministerClients, defaults: ClientDefaults) => Promise<Result>,
): Promise<Result> {
  return withDatabase('clients', (database, config) => {
    const administer = createAdministerClients({
      clients: createClientStore(database),
      audience: config.AUDIENCE,
      noteRefusal: NOTE_NOTHING,
      revocationsApplied: async () => undefined, // running servers read the change within a second
      now: systemClock,
    })
    return work(administer, { audience: config.AUDIENCE, ttl: config.ACCESS_TOKEN_TTL })
  })
}
