import type { Comparison } from '../comparison.ts'
import type { Figure } from '../figure.ts'
import { boot, firstBoot } from './boot.ts'
import { client } from './client.ts'
import { feedBytes, feedFollowers, feedFull, feedManyFollowers } from './feed.ts'
import { gate, gateBoot, gateMemory } from './gate.ts'
import { feedMillion } from './hydration.ts'
import { login } from './login.ts'
import { me } from './me.ts'
import { meNew } from './me-new.ts'
import { meUnderLogin } from './me-under-login.ts'
import { memory } from './memory.ts'
import { peers } from './peers.ts'
import { peersIssue } from './peers-issue.ts'
import { refresh } from './refresh.ts'
import { full, revoked } from './revoked.ts'
import { sign } from './sign.ts'
import { verifier, verifierOverHttp } from './verifier.ts'

export const FIGURES: readonly Figure[] = [
  me,
  meNew,
  revoked,
  full,
  sign,
  refresh,
  client,
  login,
  meUnderLogin,
  boot,
  firstBoot,
  memory,
  gateBoot,
  gateMemory,
  feedBytes,
  feedFollowers,
  feedManyFollowers,
  feedFull,
  feedMillion,
]

export const COMPARISONS: readonly Comparison[] = [gate, peers, peersIssue, verifier, verifierOverHttp]
