import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { DeliveryError } from './delivery-error.ts'
import { lookupLanguage } from './language.ts'
import type { ComposedLetter, Letter, TextName } from './message.ts'
import { type OwnTexts, readOwnTexts, splitText } from './own-texts.ts'
import { render, type Template } from './render.ts'

/** The languages of the texts in `texts/`. */
export const OUR_LANGUAGES: readonly string[] = ['en', 'de']
const DEFAULT_LANGUAGE = 'en'
/**
 * No list, no name, no comment, no encoded word (RFC 2047): one address that every mail server and every provider
 * behind a webhook reads as the same one.
 */
const MAILABLE = /^(?!.*=\?)[^\s\p{C}<>()[\],;:\\"@]{1,128}@[^\s\p{C}<>()[\],;:\\"@]{1,255}$/u

/** Writes letters from composed messages. */
export interface Texts {
  /** @throws DeliveryError, permanent, when a value is missing or the address can't be mailed */
  write(composed: ComposedLetter, letter: Pick<Letter, 'kind' | 'messageId' | 'date'>): Promise<Letter>
}

/**
 * The texts of this server: those of the operator (MAIL_TEXTS), and ours for what is not there.
 *
 * @throws OperatorError that names what is wrong with the operator's
 */
export async function openTexts({ MAIL_TEXTS, APP_URL }: Pick<Config, 'MAIL_TEXTS' | 'APP_URL'>): Promise<Texts> {
  const own: OwnTexts = MAIL_TEXTS === undefined ? new Map() : await readOwnTexts(MAIL_TEXTS)
  const app = new URL(APP_URL).host
  return {
    async write({ to, language: wanted, data: given, ...composed }, letter) {
      const name = composed.text ?? letter.kind
      if (name === 'notice') throw new TypeError('the composer of a notice names its text')
      if (!MAILABLE.test(to)) throw new DeliveryError('its address can not be mailed', { permanent: true })
      const languages = new Set([
        ...OUR_LANGUAGES,
        ...[...own].flatMap(([tag, texts]) => (texts.has(name) ? [tag] : [])),
      ])
      const language = lookupLanguage(wanted, [...languages]) ?? DEFAULT_LANGUAGE
      const template = own.get(language)?.get(name) ?? (await ourText(language, name))
      const data = { app, email: to, ...given }
      return { ...letter, to, language, data, ...render(template, data, language) }
    },
  }
}

/** One of ours. */
export async function ourText(language: string, name: TextName): Promise<Template> {
  const read = (end: string) => readFile(new URL(`texts/${language}/${name}.${end}`, import.meta.url), 'utf8')
  return { ...splitText(await read('txt')), html: await read('html') }
}
