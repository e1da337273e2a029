// What API Gateway does with a function, for `npm run interop`: it makes events of requests, and answers of results.
//
//     node api_gateway.js <file> <authorizer|proxy>
//
// The first step of the path says which authorizer is asked, and how: /token/me, /rest/me, /simple/me, /http/me.
import { createServer } from 'node:http'
import { pathToFileURL } from 'node:url'

const [, , file, role] = process.argv
const functions = await import(pathToFileURL(file))
const ARN = 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/GET'

/** Header lines by name, as each API writes them. */
function linesOf({ rawHeaders }) {
  const lines = new Map()
  for (let i = 0; i < rawHeaders.length; i += 2)
    lines.set(rawHeaders[i], [...(lines.get(rawHeaders[i]) ?? []), rawHeaders[i + 1]])
  return lines
}

const last = (lines) => Object.fromEntries([...lines].map(([name, values]) => [name, values.at(-1)]))
const joined = (lines) => Object.fromEntries([...lines].map(([name, values]) => [name.toLowerCase(), values.join(',')]))

const EVENTS = {
  token: (path, lines) => ({
    type: 'TOKEN',
    methodArn: ARN + path,
    authorizationToken: joined(lines).authorization,
  }),
  rest: (path, lines) => ({
    type: 'REQUEST',
    methodArn: ARN + path,
    resource: path,
    path,
    httpMethod: 'GET',
    headers: last(lines),
    multiValueHeaders: Object.fromEntries(lines),
  }),
  http: (path, lines) => ({
    version: '2.0',
    type: 'REQUEST',
    routeArn: ARN + path,
    routeKey: `GET ${path}`,
    rawPath: path,
    identitySource: [joined(lines).authorization],
    headers: joined(lines),
  }),
}
EVENTS.simple = EVENTS.http

/** @returns the status with which API Gateway answers, and the context of a caller who is let in */
async function authorized(kind, path, lines) {
  // Without its identity source an authorizer is not asked.
  if (joined(lines).authorization === undefined) return { status: 401 }
  const authorizer = path === '/reports' ? functions.reports : functions
  try {
    const answer = await authorizer[kind === 'simple' ? 'simple' : 'policy'](EVENTS[kind](path, lines))
    const statement = answer.policyDocument?.Statement[0]
    const isIn = answer.isAuthorized ?? (statement.Effect === 'Allow' && statement.Resource === ARN + path)
    if (Object.values(answer.context).some((value) => typeof value === 'object')) return { status: 500 }
    return isIn ? { status: 200, context: answer.context } : { status: 403 }
  } catch (error) {
    return { status: error.message === 'Unauthorized' ? 401 : 500 }
  }
}

async function throughAuthorizer(req, res) {
  const [, kind, path] = /^\/(\w+)(\/\w+)$/.exec(req.url)
  if (path === '/health') return res.end('{"status":"ok"}') // a route without an authorizer
  const { status, context } = await authorized(kind, path, linesOf(req))
  res.writeHead(status).end(JSON.stringify(status === 200 ? { sub: context.sub } : { message: 'API Gateway' }))
}

async function throughProxy(req, res) {
  const event = {
    version: '2.0',
    routeKey: '$default',
    rawPath: req.url,
    rawQueryString: '',
    headers: joined(linesOf(req)),
    requestContext: { http: { method: req.method, path: req.url, sourceIp: '127.0.0.1' }, stage: '$default' },
    isBase64Encoded: false,
  }
  const { statusCode, headers, body } = await functions.handler(event, {})
  res.writeHead(statusCode, headers).end(body)
}

const server = createServer(role === 'proxy' ? throughProxy : throughAuthorizer)
server.listen(Number(process.env.PORT), '127.0.0.1')
