import fc from 'fast-check'

/**
 * Any text, as `fc.string({ unit: 'binary' })`: every code point but halves of surrogate pairs. That arbitrary first
 * builds a map of all million code points, which takes a second of processor time, to shrink hand-written examples.
 */
export function anyText(constraints: { minLength?: number; maxLength?: number } = {}): fc.Arbitrary<string> {
  const codePoint = fc.oneof(
    { arbitrary: fc.integer({ min: 0, max: 0xd7ff }), weight: 3 },
    { arbitrary: fc.integer({ min: 0xe000, max: 0x10ffff }), weight: 1 },
  )
  return fc.string({ unit: codePoint.map((code) => String.fromCodePoint(code)), ...constraints })
}
