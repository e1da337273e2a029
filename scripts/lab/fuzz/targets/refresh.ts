import fc from 'fast-check'
import { decodeRefreshToken } from '../../../../src/sessions/refresh-token.ts'
import { startApp } from '../../../../test/support/app.ts'
import { signUp } from '../../../../test/support/front-door.ts'
import { codeOf, complaints } from '../answers.ts'
import { type Edit, edited, editedText, someEdits } from '../edits.ts'
import { demand, demandNone, type Target } from '../target.ts'

const NOW = 1_800_000_000
const REFUSALS = ['invalid_refresh_token', 'validation_failed', 'malformed_request', 'cross_site_request']

const attack = fc.record({
  way: fc.constantFrom('text', 'bytes', 'tail'),
  by: fc.constantFrom('body', 'cookie'),
  edits: someEdits,
})

/**
 * Refresh tokens at `POST /v1/refresh`, in the body and in the cookie. The session whose token was edited must stay
 * alive.
 */
export const refresh: Target = {
  name: 'refresh',
  async prepare(stage) {
    let now = NOW
    const server = await startApp(stage as never, { now: () => now })
    const { app, keyring } = server
    let token = (await signUp(app)).refresh_token
    const send = (text: string, by: string) => {
      const cookie = { cookie: `signet_refresh=${encodeURIComponent(text)}`, 'sec-fetch-site': 'same-origin' }
      return app.inject({
        method: 'POST',
        url: '/v1/refresh',
        headers: by === 'cookie' ? cookie : {},
        payload: by === 'cookie' ? {} : { refresh_token: text },
      })
    }
    const property = fc.asyncProperty(attack, async ({ way, by, edits }) => {
      const forged = forge(token, way, edits)
      if (forged === token) return
      demand(decodeRefreshToken(forged, keyring.refreshKeys()) === undefined, 'the codec takes a forged token')
      const answer = await send(forged, by)
      demandNone(complaints(answer, [token, ...(forged.length > 20 ? [forged] : [])]))
      demand(REFUSALS.includes(codeOf(answer) ?? ''), `${answer.statusCode} ${codeOf(answer)}`)
    })
    return {
      property: property as fc.IAsyncProperty<unknown>,
      async wellbeing() {
        now += 1 // so many refreshes at one instant would be too many at once
        const answer = await send(token, 'body')
        demand(answer.statusCode === 200, `the session is lost: ${answer.body}`)
        token = answer.json().refresh_token
      },
    }
  },
}

function forge(token: string, way: string, edits: readonly Edit[]): string {
  if (way === 'text') return editedText(token, edits)
  const bytes = Buffer.from(token.slice(4), 'base64url')
  // The id of a real key, followed by bytes that nobody signed.
  if (way === 'tail')
    return `srt_${Buffer.concat([bytes.subarray(0, 8), edited(randomless(edits), edits)]).toString('base64url')}`
  return `srt_${edited(bytes, edits).toString('base64url')}`
}

/** 52 bytes derived from the case, so that it can be repeated. */
function randomless(edits: readonly Edit[]): Buffer {
  return Buffer.alloc(52, String(edits.map(({ at }) => at)))
}
