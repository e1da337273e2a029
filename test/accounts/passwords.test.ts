import argon2 from 'argon2'
import t from 'tap'
import { createPasswords } from '../../src/accounts/passwords.ts'

const COST = { memory: 19_456, passes: 2 }

t.test('hashes are argon2id at the OWASP cost', async (t) => {
  const passwords = createPasswords(COST, { running: 1, waiting: 1 })
  t.match(await passwords.hash('secret'), /^\$argon2id\$v=19\$m=19456,p=1,t=2\$/)
})

t.test('an unknown account costs one verification and is never a match', async (t) => {
  const passwords = createPasswords(COST, { running: 1, waiting: 0 })
  t.equal(await passwords.verify('secret', undefined), false)
  t.equal(
    await passwords.verify('secret', await argon2.hash('secret', { memoryCost: 19_456, timeCost: 2, parallelism: 1 })),
    true,
  )
})

t.test(
  'an unknown account, and a wrong password of a cheaper hash, cost a comparison at the present cost',
  async (t) => {
    const passwords = createPasswords(COST, { running: 1, waiting: 0 })
    const cost = { memoryCost: COST.memory, timeCost: COST.passes, parallelism: 1 }
    const cheaper = await argon2.hash('secret', { ...cost, memoryCost: 64 })
    const { verify } = argon2
    t.teardown(() => Object.assign(argon2, { verify }))
    const compared: string[] = []
    const spy: typeof verify = (digest, password) => verify(compared[compared.push(digest) - 1] ?? '', password)
    Object.assign(argon2, { verify: spy })
    t.equal(await passwords.verify('secret', undefined), false)
    t.equal(await passwords.verify('wrong', cheaper), false)
    const [decoy = '', first, second] = compared
    t.same([first, second], [cheaper, decoy])
    t.notOk(argon2.needsRehash(decoy, cost))
    const form = (hash: string) => hash.replaceAll(/[^$]+(?=\$[^$]+$|$)/g, (bytes) => `${bytes.length}`)
    t.equal(form(decoy), form(await passwords.hash('secret')), 'salt and result are as long as those of a real hash')
  },
)

t.test('when the queue is full the answer is overloaded, at once, and the waiting ones still finish', async (t) => {
  const passwords = createPasswords(COST, { running: 1, waiting: 2 })
  const five = Array.from({ length: 5 }, () => passwords.hash('secret'))
  const outcomes = await Promise.allSettled(five)
  t.same(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'hashed' : outcome.reason.code)),
    ['hashed', 'hashed', 'hashed', 'overloaded', 'overloaded'],
  )
  t.match(await passwords.hash('secret'), /^\$argon2id/)
})

t.test('a hash of lower cost has to be renewed', async (t) => {
  const old = await createPasswords(COST, { running: 1, waiting: 1 }).hash('secret')
  t.equal(createPasswords(COST, { running: 1, waiting: 1 }).needsRehash(old), false)
  t.equal(createPasswords({ ...COST, passes: 3 }, { running: 1, waiting: 1 }).needsRehash(old), true)
})

t.test('a client that leaves before its turn costs no hash; one that leaves later stops no other', async (t) => {
  const passwords = createPasswords(COST, { running: 1, waiting: 5 })
  let present = true
  const first = passwords.hash('secret')
  const left = passwords.hash('secret', { isGone: () => !present })
  const leftToo = passwords.verify('secret', undefined, { isGone: () => !present })
  const last = passwords.hash('secret', { isGone: () => false })
  present = false
  const outcomes = await Promise.allSettled([first, left, leftToo, last])
  t.same(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'hashed' : outcome.reason.reason)),
    [
      'hashed',
      'the client disconnected before its password was hashed',
      'the client disconnected before its password was hashed',
      'hashed',
    ],
  )
})

t.test('the hashing queue says when it is full', async (t) => {
  const passwords = createPasswords(COST, { running: 1, waiting: 1 })
  t.equal(passwords.refusal(), undefined)
  const two = [passwords.hash('secret'), passwords.hash('secret')]
  t.equal(passwords.refusal()?.code, 'overloaded')
  await Promise.all(two)
  t.equal(passwords.refusal(), undefined)
})

t.test('one network takes half of the queue, and the hashes of others go on', async (t) => {
  const passwords = createPasswords(COST, { running: 1, waiting: 5 })
  const flood = Array.from({ length: 6 }, () => passwords.hash('secret', { network: '192.0.2.1' }))
  t.match(passwords.refusal('192.0.2.1'), { code: 'too_many_requests', headers: { 'retry-after': '1' } })
  t.equal(passwords.refusal('192.0.2.2'), undefined)
  const others = [passwords.hash('secret', { network: '192.0.2.2' }), passwords.verify('secret', undefined)]
  const outcomes = await Promise.allSettled([...flood, ...others])
  t.same(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'hashed' : outcome.reason.code)),
    [...Array(3).fill('hashed'), ...Array(3).fill('too_many_requests'), 'hashed', 'hashed'],
  )
  t.equal(passwords.refusal('192.0.2.1'), undefined, 'what was held is given back, whatever came of it')
})
