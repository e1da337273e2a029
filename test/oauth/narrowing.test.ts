import fc from 'fast-check'
import t from 'tap'
import { OAuthError } from '../../src/errors/oauth-error.ts'
import { grantedAudience } from '../../src/oauth/narrowing.ts'

const ISSUER = 'https://auth.example'

t.test('whatever resources are named, nobody gets an audience that is not allowed', async () => {
  const name = fc.constantFrom<string[]>(
    ISSUER,
    `${ISSUER}/`,
    'HTTPS://AUTH.EXAMPLE',
    'own-1',
    'own-2',
    'billing',
    '',
    '__proto__',
  )
  const names = fc.array(name, { maxLength: 4 })
  fc.assert(
    fc.property(names, names, names, (resources, allowed, audience) => {
      let granted: readonly string[]
      try {
        granted = grantedAudience(resources, allowed, { issuer: ISSUER, audience })
      } catch (error) {
        // Refused exactly where a named resource stands for nothing that is allowed.
        const isNothing = (one: string) =>
          !allowed.includes(one) && !(one === ISSUER && audience.some((own) => allowed.includes(own)))
        return error instanceof OAuthError && error.code === 'invalid_target' && resources.some(isNothing)
      }
      const asked = (one: string) =>
        resources.length === 0 || resources.includes(one) || (resources.includes(ISSUER) && audience.includes(one))
      return granted.every((one) => allowed.includes(one) && asked(one)) && new Set(granted).size <= allowed.length
    }),
    { numRuns: 2000 },
  )
})
