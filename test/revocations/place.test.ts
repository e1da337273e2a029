import t from 'tap'
import { compare } from '../../src/revocations/place.ts'

t.test('how a look compares with the last one', async (t) => {
  const at = { seq: 7, store: { history: 'h', head: 9, newest: { seq: 8, mark: 'm' } } }
  const same = { history: 'h', head: 9, mark: 'm', oldest: 1 }
  t.equal(compare(at, same), 'same')
  t.equal(compare({ seq: 0, store: undefined }, { ...same, head: 0, mark: undefined }), 'same', 'the first look')
  t.equal(compare(at, { ...same, head: 8 }), 'went_back', 'a number less')
  t.equal(compare(at, { ...same, head: 8, history: 'i' }), 'went_back', 'numbers never go down, in no history')
  t.equal(compare(at, { ...same, history: 'i' }), 'changed')
  t.equal(compare(at, { ...same, mark: 'n' }), 'went_back', 'the number was given again')
  t.equal(compare(at, { ...same, mark: undefined }), 'went_back', 'and by a server of before')
  t.equal(compare(at, { ...same, mark: undefined, oldest: undefined }), 'went_back', 'the store has no mark at all')
  t.equal(compare(at, { ...same, mark: undefined, oldest: 8 }), 'went_back')
  t.equal(compare(at, { ...same, mark: undefined, oldest: 9 }), 'forgotten')
})
