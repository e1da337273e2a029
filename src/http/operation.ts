import type { FastifyContextConfig } from 'fastify'

/**
 * The id of an operation, by which generated clients name their functions: `postLogin` for `POST /v1/login`,
 * `getAdminAccountsById` for `GET /v1/admin/accounts/:id`. Made from method and path, so that no route can lack one or
 * have that of another.
 */
export function operationId(method: string, url: string): string {
  const words = url
    .replace(/^\/(v1|\.well-known)\//, '/')
    .split(/[/.-]/)
    .filter(Boolean)
    .map((part) => (part.startsWith(':') ? `by-${part.slice(1)}` : part))
    .flatMap((part) => part.split(/[-_]/))
  return [method.toLowerCase(), ...(words.length === 0 ? ['root'] : words)]
    .map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join('')
}

/** Who may call an operation, in sentences. It comes from what the guard reads, so it can't tell anything else. */
export function whoMayCall(config: FastifyContextConfig): string {
  const { auth = 'token', anyOf, maxAuthAge, oauthErrors } = config
  if (oauthErrors?.includes('invalid_client'))
    return 'For OAuth clients, which authenticate with Basic, in the form or by assertion.'
  if (auth === 'public') return 'Needs no token.'
  const live = auth === 'live' ? ' Session and account are looked up in the database.' : ''
  const held = heldIn(config).map((what) => ` It must have ${what}.`)
  const any = anyOf === undefined ? '' : ` It must have ${anyOf.map((one) => heldIn(one).join(' and ')).join(', or ')}.`
  const age = maxAuthAge === undefined ? '' : ` Its login may be at most ${maxAuthAge} seconds ago.`
  return `Needs an access token.${live}${held.join('')}${any}${age}`
}

function heldIn({ roles, scope }: Pick<FastifyContextConfig, 'roles' | 'scope'>): string[] {
  return [
    ...(roles === undefined ? [] : [`the role ${roles.map(code).join(' or ')}`]),
    ...(scope === undefined ? [] : [`the scope ${scope.map(code).join(' and ')}`]),
  ]
}

const code = (text: string) => `\`${text}\``
