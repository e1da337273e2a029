import autocannon from 'autocannon'
import type { LoadOrder, LoadResult } from './load-process.ts'

// Started by load-process.ts: takes orders over the IPC channel.
process.on('message', async (order: LoadOrder) => {
  process.send?.(await fire(order))
})

async function fire({ seconds, ...order }: LoadOrder): Promise<LoadResult> {
  const result = await autocannon({ ...order, duration: seconds })
  const { non2xx, errors, timeouts, mismatches } = result
  return { good: result['2xx'], bad: { non2xx, errors, timeouts, mismatches }, seconds: result.duration }
}
