import t from 'tap'
import { memoizePerKey } from '../../src/tokens/memoize-per-key.ts'

t.test('what was made of a key is for that key alone, and made once', async (t) => {
  let made = 0
  const get = memoizePerKey((pem) => ({ pem, number: ++made }))
  for (const pem of ['a', 'b', 'a', 'b']) t.equal(get(pem).pem, pem)
  t.equal(made, 2)
})

t.test('however many keys come, few are kept', async (t) => {
  let made = 0
  const get = memoizePerKey((pem) => ({ pem, number: ++made }))
  for (let i = 0; i < 1000; i += 1) get(`key ${i}`)
  t.equal(made, 1000)
  t.equal(get('key 0').number, 1001, 'the first one is not there any more')
  t.equal(get('key 999').number, 1000, 'the last one is')
})

t.test('a key of which nothing can be made is refused each time', async (t) => {
  const get = memoizePerKey((): object => {
    throw new TypeError('no key')
  })
  for (let i = 0; i < 2; i += 1) t.throws(() => get('x'), { message: 'no key' })
})
