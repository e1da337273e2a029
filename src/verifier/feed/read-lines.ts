import { FeedRefused } from './feed-refused.ts'

const LINE_FEED = 0x0a
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * The lines of a body, each as soon as it has come, so that no more than one of them is in memory. Leaving the loop
 * cancels the rest. A compact JWS is ASCII, so a character is never cut in two, and whatever is not ASCII will not
 * verify.
 *
 * @param bounds most bytes of a line, and of all
 * @throws FeedRefused `size` beyond the bounds; `cut` when the last line has no end
 */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  { line, all }: { readonly line: number; readonly all: number },
): AsyncGenerator<string> {
  let begun: Uint8Array[] = []
  let begunBytes = 0
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > all) throw new FeedRefused('size', `more than ${all} bytes`)
    let from = 0
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      if (begunBytes + end - from > line) throw new FeedRefused('size', `a line of more than ${line} bytes`)
      yield [...begun, chunk.subarray(from, end)].map((part) => decoder.decode(part)).join('')
      begun = []
      begunBytes = 0
      from = end + 1
    }
    if (from === chunk.byteLength) continue
    begun.push(chunk.subarray(from))
    begunBytes += chunk.byteLength - from
    if (begunBytes > line) throw new FeedRefused('size', `a line of more than ${line} bytes`)
  }
  if (begunBytes > 0) throw new FeedRefused('cut', 'the answer ends within a line')
}
