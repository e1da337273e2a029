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
export function whoMayCall({ auth = 'token', roles, scope, maxAuthAge, oauthErrors }: FastifyContextConfig): string {
  if (oauthErrors !== undefined) return 'For OAuth clients, which authenticate with Basic, in the form or by assertion.'
  if (auth === 'public') return 'Needs no token.'
  const live = auth === 'live' ? ' Session and account are looked up in the database.' : ''
  const role = roles === undefined ? '' : ` It must have the role ${roles.map(code).join(' or ')}.`
  const scopes = scope === undefined ? '' : ` It must have the scope ${scope.map(code).join(' and ')}.`
  const age = maxAuthAge === undefined ? '' : ` Its login may be at most ${maxAuthAge} seconds ago.`
  return `Needs an access token.${live}${role}${scopes}${age}`
}

const code = (text: string) => `\`${text}\``
