import fc from 'fast-check'

/**
 * Any text, as `fc.string({ unit: 'binary' })`: every code point but halves of surrogate pairs. That one first draws
 * up a map of all million of them, for a second of processor time, so as to shrink examples that are written by hand.
 */
export function anyText(constraints: { minLength?: number; maxLength?: number } = {}): fc.Arbitrary<string> {
  const codePoint = fc.oneof(
    { arbitrary: fc.integer({ min: 0, max: 0xd7ff }), weight: 3 },
    { arbitrary: fc.integer({ min: 0xe000, max: 0x10ffff }), weight: 1 },
  )
  return fc.string({ unit: codePoint.map((code) => String.fromCodePoint(code)), ...constraints })
}
