let list: Promise<ReadonlySet<string>> | undefined

/**
 * True when a lower-case text is on the list of common passwords (@zxcvbn-ts/language-common, some tens of thousands).
 * The list is loaded at its first use: logins never need it.
 */
export async function isCommonPassword(text: string): Promise<boolean> {
  list ??= import('@zxcvbn-ts/language-common').then(({ dictionary }) => new Set(dictionary['passwords-common']))
  return (await list).has(text)
}
