import { AppError } from '../errors/app-error.ts'
import type { App } from './app-type.ts'
import { registerEmptyBody } from './empty-body.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Accepts JSON bodies only, in strict UTF-8, or no body: with Node's lenient decoding two different passwords could
 * both become U+FFFD. Fastify's own parser refuses members named `__proto__` or `constructor` (prototype pollution).
 */
export function registerJsonBody(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  registerEmptyBody(app)
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(null) // chunked, and then nothing came
    let text: string
    try {
      text = utf8.decode(body as Buffer)
    } catch {
      return done(new AppError('invalid_json', { reason: 'not UTF-8' }))
    }
    parse(request, text, (error, value) =>
      done(error && new AppError('invalid_json', { reason: error.message.slice(0, 80) }), value),
    )
  })
}
