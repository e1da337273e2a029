import fc from 'fast-check'

/**
 * One change to a sequence of bytes. Positions and lengths are taken modulo the length of the original, so that an edit
 * fits any original.
 */
export interface Edit {
  readonly kind: (typeof KINDS)[number]
  readonly at: number
  readonly length: number
  readonly bytes: Uint8Array
}

const KINDS = ['flip', 'replace', 'insert', 'delete', 'repeat', 'cut', 'swap'] as const
const SHORT = 8

/** Bytes that are difficult for parsers. */
const PITFALLS = [
  ...[
    '',
    ' ',
    '\n',
    '\0',
    '=',
    '.',
    '..',
    '-',
    '_',
    '+',
    '/',
    '"',
    "'",
    '\\',
    '{}',
    '[]',
    'null',
    'true',
    '0',
    '-1',
    '1e999',
  ],
  ...[
    '"__proto__":{},',
    '"constructor":1,',
    '\u2028',
    '\ufeff',
    '%00',
    '%',
    '&',
    ';',
    ',',
    '\ud83d\ude00',
    '-----BEGIN PUBLIC KEY-----',
  ],
].map((text) => Buffer.from(text))

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: SHORT }),
  fc.string({ maxLength: SHORT }).map((text) => Buffer.from(text)),
  fc.constantFrom(...PITFALLS),
)
const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom(...KINDS),
  at: fc.nat(1 << 20),
  length: fc.nat(64),
  bytes,
})

/** Several edits, applied one after the other. */
export const someEdits = fc.array(edit, { minLength: 1, maxLength: 4 })

/** Null in all but one of `cases` cases: null means that nothing is changed. */
export const editsOnceIn = (cases: number): fc.Arbitrary<readonly Edit[] | null> =>
  fc.oneof({ weight: cases - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: someEdits })

/** @returns the changed bytes, which may happen to be equal to the original */
export function edited(original: Uint8Array, edits: readonly Edit[]): Buffer {
  let result: Buffer = Buffer.from(original)
  for (const one of edits) result = apply(result, one)
  return result
}

/** The same for text, as UTF-8. What is not UTF-8 any more becomes U+FFFD. */
export const editedText = (original: string, edits: readonly Edit[]) => edited(Buffer.from(original), edits).toString()

function apply(original: Buffer, { kind, at, length, bytes }: Edit): Buffer {
  const position = at % (original.length + 1)
  const end = Math.min(original.length, position + length)
  const [before, middle, after] = [
    original.subarray(0, position),
    original.subarray(position, end),
    original.subarray(end),
  ]
  const rest = original.subarray(position)
  switch (kind) {
    case 'flip':
      return Buffer.concat([
        before,
        ...[...rest.subarray(0, 1)].map((byte) => Buffer.of(byte ^ (1 << (length % 8)))),
        rest.subarray(1),
      ])
    case 'replace':
      return Buffer.concat([before, bytes, original.subarray(Math.min(original.length, position + bytes.length))])
    case 'insert':
      return Buffer.concat([before, bytes, rest])
    case 'delete':
      return Buffer.concat([before, after])
    case 'repeat':
      return Buffer.concat([before, middle, middle, after])
    case 'cut':
      return Buffer.from(before)
    case 'swap':
      return Buffer.concat([after, middle, before])
  }
}
