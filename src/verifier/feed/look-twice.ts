/**
 * A look that tokens wait for. It is repeated once if it fails fast: the first request after a standstill may go out on
 * a connection that the issuer has closed meanwhile. After a gap everything is asked for.
 *
 * @throws Error also when that leads nowhere: then nobody knows what was revoked meanwhile
 */
export async function lookTwice(look: () => Promise<'done' | 'gap'>): Promise<void> {
  const found = await look().catch((error: Error) => {
    if (error.name === 'TimeoutError') throw error
    return look()
  })
  if (found === 'gap' && (await look()) === 'gap') throw new Error('the answers do not fit what is known')
}
