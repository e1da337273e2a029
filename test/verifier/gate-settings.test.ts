import { readFile } from 'node:fs/promises'
import t from 'tap'
import { IDENTITY_HEADERS } from '../../src/verifier/gate/identity.ts'
import { BadSettings, GATE_SETTINGS, readGateSettings } from '../../src/verifier/gate/settings.ts'

const GOOD = { ISSUER: 'https://auth.example.com', AUDIENCE: 'https://api.example.com' }

t.test('issuer and audience are enough', async (t) => {
  t.same(readGateSettings({ ...GOOD, PATH: '/bin', HOSTNAME: 'x' }), {
    issuer: GOOD.ISSUER,
    audience: [GOOD.AUDIENCE],
    insecureIssuer: false,
    host: '127.0.0.1',
    port: 4180,
    metricsPort: undefined,
    revocations: true,
    onStale: 'accept',
    mirror: undefined,
  })
  const changed = { AUDIENCE: 'a, b', PORT: '0', METRICS_PORT: '9', REVOCATIONS: 'off', INSECURE_ISSUER: 'on' }
  t.same(readGateSettings({ ...GOOD, MIRROR: '1' }).mirror, { host: '127.0.0.1', port: 4181 })
  const elsewhere = { MIRROR: '1', MIRROR_HOST: '0.0.0.0', MIRROR_PORT: '0' }
  t.same(readGateSettings({ ...GOOD, ...elsewhere }).mirror, { host: '0.0.0.0', port: 0 })
  t.equal(readGateSettings({ ...GOOD, MIRROR: '0' }).mirror, undefined)
  t.match(readGateSettings({ ...GOOD, ...changed }), {
    ...{ audience: ['a', 'b'], port: 0, metricsPort: 9, revocations: false, insecureIssuer: true },
  })
})

t.test('a bad setting is refused by its name, with what it may be', async (t) => {
  const rows: [env: Record<string, string>, message: RegExp][] = [
    [{ ISSUER: '' }, /^ISSUER is empty: the URL/],
    [{ AUDIENCE: 'a,,b' }, /^AUDIENCE: "a,,b" is not accepted/],
    [{ AUDIENCE: ' ' }, /^AUDIENCE is empty/],
    ...['-1', '65536', '1e3', '0x1', 'http'].map((PORT): [Record<string, string>, RegExp] => [{ PORT }, /^PORT: "/]),
    [{ METRICS_PORT: 'x' }, /^METRICS_PORT: "x"/],
    ...['true', '1', 'ON', 'no'].map((on): [Record<string, string>, RegExp] => [
      { REVOCATIONS: on },
      /^REVOCATIONS: "/,
    ]),
    [{ ON_STALE: 'refuse' }, /^ON_STALE: "refuse" is not accepted: accept \(default\) or reject/],
    [{ ON_STALE: 'reject', REVOCATIONS: 'off' }, /^ON_STALE has no effect with REVOCATIONS=off/],
    ...['on', 'true', '2'].map((MIRROR): [Record<string, string>, RegExp] => [{ MIRROR }, /^MIRROR: "/]),
    [{ MIRROR: '' }, /^MIRROR is empty: 1 or 0/],
    [{ MIRROR: '1', REVOCATIONS: 'off' }, /^MIRROR=1 has no feed to serve with REVOCATIONS=off/],
    [{ MIRROR_PORT: '1' }, /^MIRROR_PORT has no effect without MIRROR=1/],
    [{ MIRROR: '1', MIRROR_PORT: 'x' }, /^MIRROR_PORT: "x"/],
    [{ MIRROR: '0', MIRROR_HOST: '::1' }, /^MIRROR_HOST has no effect without MIRROR=1/],
    [{ MIROR: '1' }, /^MIROR is no setting \(MIRROR\?\)/],
    [{ REVOCATION: 'off' }, /^REVOCATION is no setting \(REVOCATIONS\?\)/],
    [{ ON_STALE: 'x', PORT: 'y' }, /^PORT: .*\nON_STALE: /],
  ]
  for (const [env, message] of rows)
    t.throws(() => readGateSettings({ ...GOOD, ...env }), { constructor: BadSettings, message }, JSON.stringify(env))
  t.throws(() => readGateSettings({}), { message: /^ISSUER is missing: .*\nAUDIENCE is missing/ })
})

t.test('the page has every setting, and every header', async (t) => {
  const page = await readFile(new URL('../../src/verifier/gate/README.md', import.meta.url), 'utf8')
  const named = (section: string) =>
    [...(page.split(`## ${section}\n`)[1]?.split('\n## ')[0] ?? '').matchAll(/^\| `([\w-]+)`/gm)].map(
      ([, name]) => name,
    )
  t.same(named('Settings').sort(), Object.keys(GATE_SETTINGS).sort())
  const headers = named('Question and answer').map((name) => name?.toLowerCase())
  t.same(headers, IDENTITY_HEADERS)
})
