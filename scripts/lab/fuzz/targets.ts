import type { Target } from './target.ts'
import { bodies } from './targets/bodies.ts'
import { feed } from './targets/feed.ts'
import { guard } from './targets/guard.ts'
import { keyring } from './targets/keyring.ts'
import { oauth } from './targets/oauth.ts'
import { refresh } from './targets/refresh.ts'

export const TARGETS: readonly Target[] = [guard, refresh, keyring, bodies, oauth, feed]
