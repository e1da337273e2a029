import t from 'tap'
import { lookTwice } from '../../src/verifier/feed/look-twice.ts'

t.test('a look that led nowhere twice is none', async (t) => {
  const CASES: [answers: (string | Error)[], isLook: boolean, asked: number][] = [
    [['done'], true, 1],
    [['gap', 'done'], true, 2],
    [['gap', 'gap'], false, 2],
    [[new Error('reset'), 'done'], true, 2],
    [[new Error('reset'), 'gap', 'done'], true, 3],
    [[new Error('reset'), 'gap', 'gap'], false, 3],
    [[new Error('reset'), new Error('down')], false, 2],
    [[new DOMException('late', 'TimeoutError')], false, 1],
  ]
  for (const [answers, isLook, most] of CASES) {
    let asked = 0
    const look = async () => {
      const answer = answers[asked++]
      if (answer instanceof Error) throw answer
      return answer as 'done' | 'gap'
    }
    const is = await lookTwice(look).then(
      () => true,
      () => false,
    )
    t.strictSame([is, asked], [isLook, most], answers.join())
  }
})
