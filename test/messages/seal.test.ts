import { randomBytes } from 'node:crypto'
import t from 'tap'
import { seal, unseal } from '../../src/messages/seal.ts'

const NOW = 1_800_000_000
const key = (id: string, signFrom: number) => ({ id, signFrom, secret: randomBytes(32) })
const [old, current, next] = [key('old', NOW - 100), key('current', NOW - 10), key('next', NOW + 10)]
const FACTS = { email: 'ada@example.com' }

t.test('what is sealed opens with its key and for its row, and with nothing else', async (t) => {
  const sealed = await seal([old, current, next], NOW, 'row', FACTS)
  t.notMatch(Buffer.from(sealed.split('.')[3] ?? '', 'base64url').toString(), 'ada@example.com')
  t.same(await unseal([next, current], 'row', sealed), FACTS)
  t.equal(await unseal([old, next], 'row', sealed), undefined, 'the key of that moment is gone')
  t.equal(await unseal([current], 'another row', sealed), undefined)
  t.equal(await unseal([{ ...key('current', 0) }], 'row', sealed), undefined, 'another key of that name')
  for (const text of ['', 'garbage', `${sealed}x`, sealed.slice(0, -4)])
    t.equal(await unseal([current], 'row', text), undefined)
})
