import t from 'tap'
import { absolute, checkedIssuer, checkedOrigins, originOf } from '../../src/client/origins.ts'

const ORIGINS = checkedOrigins('https://auth.example.com/path', ['https://api.example.com', 'http://localhost:3000'])
const gets = (address: string, base?: string) => ORIGINS.has(originOf(absolute(address, base)))

t.test('the token goes to the origins of the list, in each spelling that is certain', async (t) => {
  for (const address of [
    'https://auth.example.com/v1/me',
    'https://api.example.com',
    'https://api.example.com/',
    'https://api.example.com?x=1',
    'https://api.example.com#x',
    'HTTPS://API.Example.COM/x',
    'https://api.example.com:443/x',
    'http://localhost:3000/x@y',
  ])
    t.ok(gets(address), address)
  t.ok(gets('/orders', 'https://api.example.com/page'), 'relative to a page of the API')
  t.ok(gets('//api.example.com/x', 'https://app.example.com/'), 'by the protocol of the page')
  t.equal(
    absolute('https://api.example.com\\@evil.example/'),
    'https://api.example.com/@evil.example/',
    'is asked like that',
  )
})

t.test('and to nobody else, however the address looks', async (t) => {
  for (const address of [
    'https://api.example.com.evil.example/x',
    'https://api.example.com@evil.example/x',
    'https://api.example.com:x@evil.example/x',
    'https://evil.example/https://api.example.com/x',
    'https://evil.example?https://api.example.com/',
    'https://evil.example#@api.example.com/',
    'https://evil.example\\@api.example.com/',
    'https://api.example.com\t.evil.example/',
    'https://api.example.com%2eevil.example/',
    'https://api.example.com.:443/x',
    'https://api.example.com:8443/x',
    'https://api.example.com:80/x',
    'http://api.example.com/x',
    'http://localhost/x',
    'https://apixexample.com/x',
    'https://xapi.example.com/x',
    'blob:https://api.example.com/0',
    'data:text/plain,https://api.example.com/',
    'javascript:https://api.example.com/',
    'filesystem:https://api.example.com/',
    'wss://api.example.com/',
    '//evil.example/x',
    'x',
    '',
  ])
    t.notOk(gets(address, 'https://app.example.com/'), address)
  t.notOk(gets('/orders'), 'relative, where there is no page')
  t.notOk(gets('\\\\evil.example/x', 'https://api.example.com/'), 'another host by backslashes')
})

t.test('an issuer or origin that can not work is refused by name', async (t) => {
  t.equal(checkedIssuer('https://auth.example.com/a/'), 'https://auth.example.com/a')
  for (const issuer of [
    '',
    'auth.example.com',
    'https://a.example?x',
    'https://a.example/#x',
    'https://u:p@a.example',
    7,
  ])
    t.throws(() => checkedIssuer(issuer as string), { name: 'TypeError', message: /^issuer:/ }, String(issuer))
  for (const origin of ['*', 'https://api.example.com/', 'https://api.example.com/v1', 'api.example.com', '', 'null'])
    t.throws(
      () => checkedOrigins('https://a.example', [origin]),
      { name: 'TypeError', message: /^apiOrigins:/ },
      origin,
    )
})
