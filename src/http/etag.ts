import { createHash } from 'node:crypto'

/** A strong entity tag (RFC 9110 section 8.8.3): it changes with the content and with nothing else. */
export function strongEtag(body: string | Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url')}"`
}

/** True when `If-None-Match` names the entity tag: a list of tags or `*`, compared weakly (RFC 9110 section 13.1.2). */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
}
