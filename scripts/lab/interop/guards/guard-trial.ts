import type { RuntimeTrial } from '../runtimes/trial.ts'
import { fetchTwice } from '../verifiers.ts'
import type { Guard } from './guards.ts'

/** A guard that runs, and what was found. The checks of the JavaScript runtimes take it as one of theirs. */
export interface GuardTrial extends RuntimeTrial {
  readonly guard: Guard
}

export async function get(url: string, headers: Readonly<Record<string, string>>) {
  const reply = await fetchTwice(url, headers)
  return { status: reply.status, headers: reply.headers, body: await reply.text() }
}

export function isUp(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}
