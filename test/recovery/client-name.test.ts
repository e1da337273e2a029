import fc from 'fast-check'
import t from 'tap'
import { clientName } from '../../src/recovery/client-name.ts'
import { isNewLogin } from '../../src/recovery/new-login.ts'
import { anyText } from '../support/any-text.ts'

// What a message calls a client, and which logins are news to the owner.

const WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)'
const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)'
const FIREFOX = `${WINDOWS.replace(')', '; rv:143.0)')} Gecko/20100101 Firefox/143.0`
const CHROME = `${WINDOWS} ${WEBKIT} Chrome/141.0.0.0 Safari/537.36`
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)'

const NAMES: [userAgent: string | null, name: string][] = [
  [FIREFOX, 'Firefox, Windows'],
  [CHROME, 'Chrome, Windows'],
  [`${CHROME} Edg/141.0.0.0`, 'Edge, Windows'],
  [`${CHROME} OPR/120.0.0.0`, 'Opera, Windows'],
  [`${IPHONE} Version/18.6 Mobile/15E148 Safari/604.1`, 'Safari, iOS'],
  [`${IPHONE} CriOS/141.0 Mobile/15E148 Safari/604.1`, 'Chrome, iOS'],
  [`Mozilla/5.0 (Linux; Android 16; Pixel 9) ${WEBKIT} Chrome/141.0.0.0 Mobile Safari/537.36`, 'Chrome, Android'],
  [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${WEBKIT} Version/18.6 Safari/605.1.15`, 'Safari, macOS'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0', 'Firefox, Linux'],
  ['Mozilla/5.0 (Windows NT 10.0) Something/1.0', 'Windows'],
  ['Shop/4.2.1 (iPhone; iOS 18.6) CFNetwork/1490', 'Shop, iOS'],
  ['curl/8.5.0', 'curl'],
  ['my-shop app', 'my-shop app'],
  ['evil.example', 'evil example'],
  ['<a href="https://evil.example">/1', 'a href https'],
  ['x'.repeat(256), 'x'.repeat(40)],
  ['Call+49\u202e123', 'Call 49 123'],
  ['😀', ''],
  ['Mozilla/5.0', ''],
  ['', ''],
  [null, ''],
]

t.test('a client has a short name without a version', async (t) => {
  for (const [userAgent, name] of NAMES) t.equal(clientName(userAgent), name, String(userAgent))
})

t.test('whatever a client sends, nothing in its name can become a link or a line of its own', async () => {
  const words = fc.constantFrom('Mozilla/5.0 ', 'Firefox/1', ' (Windows)', 'evil.example', 'https://', '\n', '@', '+49')
  const text = fc.array(fc.oneof(words, anyText({ maxLength: 8 })), { maxLength: 6 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (userAgent) => /^[A-Za-z0-9 ,_-]{0,60}$/.test(clientName(userAgent))),
    { numRuns: 50 },
  )
})

const HOME = { ip: '192.0.2.7', userAgent: FIREFOX }
const known = (...logins: { ip: string | null; userAgent: string | null }[]) => ({ logins, atOnce: [], isFirst: false })
const FIRST = { logins: [], atOnce: [], isFirst: true }
const PHONE = { ip: '2001:db8::1', userAgent: IPHONE }

t.test('a login is news when its network or its client is new', async (t) => {
  const cases: [
    what: string,
    login: typeof HOME | { ip: null; userAgent: null },
    Parameters<typeof isNewLogin>[1],
    boolean,
  ][] = [
    ['the first one of an account', HOME, FIRST, false],
    ['the first one, sent twice', HOME, { ...FIRST, atOnce: [HOME] }, false],
    ['the first one, with another in the same second', HOME, { ...FIRST, atOnce: [HOME, PHONE] }, true],
    ['the first one since the trail begins, or since a thief was thrown out', HOME, known(), true],
    ['as before', HOME, known(HOME), false],
    ['after an update of the browser', { ...HOME, userAgent: FIREFOX.replaceAll('143', '144') }, known(HOME), false],
    ['from another network', { ...HOME, ip: '192.0.2.8' }, known(HOME), true],
    ['with another client', { ...HOME, userAgent: CHROME }, known(HOME), true],
    ['from the same IPv6 network', { ...PHONE, ip: '2001:db8::ffff' }, known(PHONE), false],
    ['from another IPv6 network', { ...PHONE, ip: '2001:db8:0:1::1' }, known(PHONE), true],
    ['with a known client in another known network', { ...HOME, userAgent: IPHONE }, known(HOME, PHONE), false],
    ['from nowhere', { ip: null, userAgent: null }, known(HOME), true],
  ]
  for (const [what, login, history, expected] of cases) t.equal(isNewLogin(login, history), expected, what)
})
