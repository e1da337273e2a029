import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { fileStore } from '../../../src/verifier/store/file-store.ts'
import { ROOT, run } from '../../support/service.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const MODULE = pathToFileURL(join(ROOT, 'src/verifier/store/file-store.ts')).href
const KILL_AT = pathToFileURL(join(ROOT, 'test/support/kill-at.js')).href
/** More changes of the file system than a `put` has. */
const MOST_STEPS = 20

t.test('a process that is killed leaves the old text or the new one, and nothing for long', async (t) => {
  const folder = join(await temporaryFolder(t), 'store')
  const program = join(await temporaryFolder(t), 'program.mjs')
  await writeFile(
    program,
    `import { fileStore } from '${MODULE}'
     await fileStore(process.env.FOLDER).put('a', 'new'.repeat(100_000))`,
  )
  const store = fileStore(folder)
  const anHourAgo = new Date(Date.now() - 3_600_000)
  const seen: string[] = []
  for (let step = 1; step < MOST_STEPS && seen.at(-1) !== 'ended'; step += 1) {
    await store.put('a', 'old')
    const env = { FOLDER: folder, KILL_AT: `${step}`, NODE_OPTIONS: `--import=${KILL_AT}` }
    const { code } = await run(t, program, [], env).finished
    const text = await store.get('a')
    if (text !== 'old' && text !== 'new'.repeat(100_000)) t.fail(`step ${step}: ${text?.length} characters`)
    seen.push(code === 0 ? 'ended' : text === 'old' ? 'old' : 'new')
    for (const name of await readdir(folder))
      if (name.endsWith('.unfinished')) await utimes(join(folder, name), anHourAgo, anHourAgo)
    await fileStore(folder).put('b', '')
    t.strictSame(
      (await readdir(folder)).filter((name) => name.endsWith('.unfinished')),
      [],
      `step ${step}`,
    )
  }
  t.ok(seen.filter((what) => what === 'old').length >= 3, seen.join())
  t.equal(seen.at(-1), 'ended')
})

t.test('two processes may share a folder: a reader sees whole texts only', async (t) => {
  const folder = join(await temporaryFolder(t), 'store')
  const program = join(await temporaryFolder(t), 'program.mjs')
  await writeFile(
    program,
    `import { fileStore } from '${MODULE}'
     const store = fileStore(process.env.FOLDER)
     for (let i = 0; i < 50; i += 1) {
       await store.put('a', process.env.LETTER.repeat(1 + i * 3000))
       const text = await store.get('a')
       if (text !== text[0].repeat((text.length - 1) / 3000 * 3000 + 1)) throw new Error('torn')
     }`,
  )
  const writers = ['x', 'y'].map((LETTER) => run(t, program, [], { FOLDER: folder, LETTER }).finished)
  const ended = Promise.all(writers)
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  const store = fileStore(folder)
  let read = 0
  while (!isOver) {
    const text = await store.get('a')
    if (typeof text !== 'string') continue
    read += 1
    if (text !== (text[0] ?? '').repeat(text.length) || text.length % 3000 !== 1) t.fail(`torn: ${text.length}`)
  }
  t.ok(read > 0, `${read} texts were read`)
  for (const { code, stderr } of await ended) t.match({ code, stderr }, { code: 0, stderr: '' })
  t.equal((await readdir(folder)).length, 1)
})
