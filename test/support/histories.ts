import { refreshed, refreshVerdict, type serverAt, signUp, type Tokens, verdict } from './front-door.ts'

// Sessions that were refreshed for a while, and what became of them.

export function histories({ app, pass }: Pick<Awaited<ReturnType<typeof serverAt>>, 'app' | 'pass'>) {
  /** A session after some refreshes, the last of them just now: every pair it ever had. */
  async function history(refreshes: number): Promise<Tokens[]> {
    const pairs: Tokens[] = [await signUp(app)]
    for (let n = 0; n < refreshes; n += 1) {
      pass(60)
      pairs.push(await refreshed(app, pairs.at(-1) as Tokens))
    }
    return pairs
  }

  async function isLive(pair: Tokens | undefined): Promise<boolean> {
    return pair !== undefined && (await verdict(app, pair)) === 'good' && (await refreshVerdict(app, pair)) === 'good'
  }

  async function isOver(pairs: Tokens[]): Promise<boolean> {
    for (const pair of pairs) {
      if ((await verdict(app, pair)) !== 'invalid_token') return false
      if ((await refreshVerdict(app, pair)) !== 'invalid_refresh_token') return false
    }
    return true
  }
  return { history, isLive, isOver }
}
