// Cold starts: many verifiers that live for one token each, as functions do, and share a store.
import { createVerifier } from 'signet-verifier'

const { ISSUER, AUDIENCE, TOKEN, COUNT } = process.env

/** @returns how many starts accepted the token, and what they asked the issuer for */
async function starts(waves) {
  const store = new Map()
  const asked = { jwks: 0, feed: 0 }
  const counting = (input, init) => {
    asked[new URL(String(input)).pathname.endsWith('jwks.json') ? 'jwks' : 'feed'] += 1
    return fetch(input, init)
  }
  const start = async () => {
    const verifier = createVerifier({
      issuer: ISSUER,
      audience: AUDIENCE,
      revocations: true,
      mode: 'on-demand',
      store: { get: async (name) => store.get(name), put: async (name, value) => void store.set(name, value) },
      fetch: counting,
    })
    const good = await verifier.verify(TOKEN).then(
      () => true,
      (error) => console.error(error.code, error.message),
    )
    verifier.close()
    return good === true
  }
  let accepted = 0
  for (let wave = 0; wave < waves; wave += 1) {
    const answers = await Promise.all(Array.from({ length: Number(COUNT) / waves }, start))
    accepted += answers.filter(Boolean).length
  }
  return { accepted, ...asked }
}

console.log(JSON.stringify({ waves: await starts(10), atOnce: await starts(1) }))
