import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError } from '../errors/app-error.ts'
import type { TextName } from './message.ts'
import { PLACEHOLDER, type Template } from './render.ts'
import { needsLink, placeholdersOf, TEXT_NAMES } from './text-names.ts'

/** Texts of the operator: by language, by name. */
export type OwnTexts = ReadonlyMap<string, ReadonlyMap<TextName, Template>>

const MAX_BYTES = 65_536
const READABLE = 'it must be a folder that this user can read, with a folder for each language'

/**
 * Reads a folder of texts, `<language>/<name>.txt` and `.html`, and checks it: a text without its link, or with a
 * placeholder that has no value, would be found out by the people who need it.
 *
 * @throws OperatorError that names every fault
 */
export async function readOwnTexts(dir: string): Promise<OwnTexts> {
  const problems: string[] = []
  const texts = new Map<string, Map<TextName, Template>>()
  for (const language of await namesIn(dir)) {
    if (!isLanguage(language)) problems.push(`${language} is no folder of a language (en, de, pt-BR, …)`)
    else texts.set(language, await readLanguage(dir, language, problems))
  }
  if (texts.size === 0 && problems.length === 0) problems.push('it is empty')
  if (problems.length > 0)
    throw new OperatorError(`MAIL_TEXTS: ${dir}: ${problems.join('; ')}`, {
      hint: 'src/messages/README.md lists the texts and their placeholders',
    })
  return texts
}

async function readLanguage(dir: string, language: string, problems: string[]): Promise<Map<TextName, Template>> {
  const texts = new Map<TextName, Template>()
  const files = new Set(await namesIn(join(dir, language)))
  for (const file of files) {
    const [, name = '', end] = /^(.*)\.(txt|html)$/.exec(file) ?? []
    const problem = (text: string) => problems.push(`${language}/${file} ${text}`)
    if (!TEXT_NAMES.includes(name as TextName)) problem(`is no text: there are ${TEXT_NAMES.join(', ')}`)
    else if (end === 'html' && !files.has(`${name}.txt`)) problem(`has no ${name}.txt beside it`)
    else if (end === 'txt')
      texts.set(name as TextName, await readText(join(dir, language), name as TextName, files, problems))
  }
  return texts
}

async function readText(
  dir: string,
  name: TextName,
  files: ReadonlySet<string>,
  problems: string[],
): Promise<Template> {
  const read = async (file: string) => {
    const bytes = await readFile(join(dir, file)).catch((cause) => {
      throw new OperatorError(`MAIL_TEXTS: can't read ${join(dir, file)}: ${cause.code}`, { cause, hint: READABLE })
    })
    const text = bytes.toString('utf8')
    problems.push(...faultsOf(name, text, bytes.byteLength).map((fault) => `${join(dir, file)} ${fault}`))
    return text
  }
  const plain = await read(`${name}.txt`)
  if (!SUBJECT.test(plain))
    problems.push(`${join(dir, `${name}.txt`)} does not begin with "Subject: …" and an empty line`)
  return { ...splitText(plain), html: files.has(`${name}.html`) ? await read(`${name}.html`) : '' }
}

/** What is wrong with the text of a file. */
export function faultsOf(name: TextName, text: string, bytes = Buffer.byteLength(text)): string[] {
  const used = [...text.matchAll(PLACEHOLDER)].map(([, placeholder = '']) => placeholder)
  const known = placeholdersOf(name)
  const unknown = [...new Set(used.filter((placeholder) => !known.includes(placeholder)))]
  return [
    ...(bytes > MAX_BYTES ? [`has more than ${MAX_BYTES} bytes`] : []),
    ...(text.includes('\ufffd') ? ['is not UTF-8'] : []),
    ...unknown.map((placeholder) => `has {${placeholder}}: its placeholders are {${known.join('}, {')}}`),
    ...(needsLink(name) && !used.includes('link') && !used.includes('token') ? ['has neither {link} nor {token}'] : []),
  ]
}

const SUBJECT = /^Subject: *(\S.*)\r?\n\r?\n/

/** The subject in the first line, and the text behind the empty line. */
export function splitText(plain: string): Pick<Template, 'subject' | 'text'> {
  const [head = '', subject = ''] = SUBJECT.exec(plain) ?? []
  return { subject, text: plain.slice(head.length) }
}

function isLanguage(name: string): boolean {
  try {
    return Intl.getCanonicalLocales(name)[0] === name
  } catch {
    return false
  }
}

/** Without what an operating system or an editor hides there. */
async function namesIn(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((cause) => {
    throw new OperatorError(`MAIL_TEXTS: can't list the folder ${dir}: ${cause.code}`, { cause, hint: READABLE })
  })
  return names.filter((name) => !name.startsWith('.')).sort()
}
