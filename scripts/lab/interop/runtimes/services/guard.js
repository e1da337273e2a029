// What stands in every runtime: the guard of a service, with nothing of the runtime in it.
import { createVerifier, toResponse } from 'signet-verifier'

/**
 * @param environment ISSUER and AUDIENCE; with MAX_FEED_AGE (seconds) the verifier looks on demand, else it follows
 * @param more options of the verifier
 */
export function createGuard({ ISSUER, AUDIENCE, MAX_FEED_AGE }, more = {}) {
  const mode = MAX_FEED_AGE ? { mode: 'on-demand', maxFeedAge: Number(MAX_FEED_AGE) } : {}
  const onEvent = ({ type, reason }) => type.endsWith('_failed') && console.error(type, reason)
  const options = { issuer: ISSUER, audience: AUDIENCE, revocations: true, onStale: 'reject', onEvent }
  const verifier = createVerifier({ ...options, ...mode, ...more })

  /** @param request a Fetch request, one of Node, or anything that has headers */
  const answer = async (request, call) => {
    try {
      const { sub } = await verifier.authenticate(request, {}, call)
      return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sub }) }
    } catch (error) {
      if (error.code === undefined || error.code === 'internal') console.error(error)
      return toResponse(error)
    }
  }

  /** The answers to many tokens at once: also to those that no header line can carry. */
  const answers = async (tokens, call) => {
    const given = []
    for (const token of tokens) given.push(await answer({ headers: { authorization: `Bearer ${token}` } }, call))
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(given) }
  }

  return {
    answer,
    answers,
    async fetch(request, call) {
      const isBatch = new URL(request.url).pathname === '/tokens'
      const { status, headers, body } = isBatch
        ? await answers(await request.json(), call)
        : await answer(request, call)
      return new Response(body, { status, headers })
    },
  }
}
