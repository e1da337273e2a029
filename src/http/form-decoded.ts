/** A name or a value of application/x-www-form-urlencoded; undefined for what is not. */
export function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
