import fc from 'fast-check'
import t from 'tap'
import { readLines } from '../../src/verifier/feed/read-lines.ts'

async function* inPieces(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text, 'latin1')
  for (let i = 0, n = 0; i < bytes.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1
    yield bytes.subarray(i, i + size)
    i += size
  }
}

/** The lines, and the reason why there are no more. */
async function read(text: string, sizes: readonly number[], bounds = { line: 100, all: 1000 }): Promise<string[]> {
  const lines: string[] = []
  try {
    for await (const line of readLines(inPieces(text, sizes), bounds)) lines.push(line)
  } catch (error) {
    lines.push(`!${(error as { why?: string }).why}`)
  }
  return lines
}

t.test('lines are the same however the body is cut into pieces', async () => {
  const lines = fc.array(fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^ -~]/g, '')))
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), async (lines, sizes) => {
      const found = await read(lines.map((line) => `${line}\n`).join(''), sizes)
      if (JSON.stringify(found) !== JSON.stringify(lines)) throw new Error(JSON.stringify(found))
    }),
  )
})

t.test('a body that is cut or too large ends where it is', async (t) => {
  for (const sizes of [[1], [7], [1000]]) {
    t.same(await read('', sizes), [])
    t.same(await read('a\nb', sizes), ['a', '!cut'])
    t.same(await read('a\n\nb\n', sizes), ['a', '', 'b'])
    t.same(await read('a\r\n', sizes), ['a\r'])
    t.same(await read('12345\n', sizes, { line: 5, all: 6 }), ['12345'])
    t.same(await read('a\n123456\n', sizes, { line: 5, all: 100 }), ['a', '!size'])
    t.same(await read('123456', sizes, { line: 5, all: 100 }), ['!size'])
    t.same((await read('a\nb\nc\n', sizes, { line: 5, all: 5 })).at(-1), '!size')
  }
})
