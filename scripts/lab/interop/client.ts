import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Place } from './program.ts'
import { npmRecipe, npmVersion } from './programs.ts'
import { accepts, type Trial } from './trial.ts'

/**
 * openid-client finds the server by discovery and gets a token, which every program must accept.
 *
 * @returns a line for the report
 */
export async function clientCredentials(place: Place, trials: readonly Trial[]): Promise<string> {
  const client = await place.issuer.createClient()
  const recipe = await npmRecipe(place, 'node/openid_client.js')
  const env = { ...place.issuer.environment, CLIENT_ID: client.id, CLIENT_SECRET: client.secret }
  const { stdout } = await promisify(execFile)(process.execPath, [recipe], { env })
  const { access_token } = JSON.parse(stdout)
  for (const trial of trials) await accepts(trial, 'client', { 'a token of a client': access_token })
  const accepted = trials.filter(({ cells }) => cells.get('client') === 'yes').length
  const version = await npmVersion(place, 'openid-client')
  return (
    `openid-client ${version}: discovery and client credentials; ` +
    `its token was accepted by ${accepted} of ${trials.length} programs`
  )
}
