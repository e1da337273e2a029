/** Decodes a name or a value of application/x-www-form-urlencoded; undefined when it is malformed. */
export function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
