import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fileStore } from '../../src/verifier/store/file-store.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { code, verifying } from './verifying.ts'

t.test('a restart from a folder while the issuer is away for twelve hours', async (t) => {
  for (const mode of ['follow', 'on-demand'] as const) {
    const folder = join(await temporaryFolder(t), 'store')
    const store = fileStore(folder)
    const put = Promise.withResolvers<void>()
    const noting = {
      get: store.get,
      async put(name: string, value: string) {
        await store.put(name, value)
        const texts = (await readdir(folder)).filter((file) => !file.includes('note') && file.endsWith('.txt'))
        if (texts.length === 2) put.resolve()
      },
    }
    const { issuer, verifier, another, clock, mint } = await verifying(t, { mode, revocations: true, store: noting })
    t.equal(await code(verifier.verify(mint.token())), 'good')
    await put.promise
    verifier.close()
    issuer.down = true
    clock.seconds += 12 * 3600
    const now = clock.seconds
    const again = another({ mode, revocations: true, store: fileStore(folder) }, async () => undefined)
    t.equal(await code(again.verify(mint.token({ claims: { iat: now, exp: now + 600 } }))), 'good', mode)
    t.equal(again.stats().storeFailures, 0)
    const elsewhere = another(
      { mode, revocations: true, store: fileStore(join(folder, 'other')) },
      async () => undefined,
    )
    t.equal(
      await code(elsewhere.verify(mint.token({ claims: { iat: now, exp: now + 600 } }))),
      'keys_unavailable',
      'without it',
    )
  }
})
