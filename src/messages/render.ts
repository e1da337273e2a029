import { DeliveryError } from './delivery-error.ts'
import type { Facts } from './message.ts'

/** A text as it is stored: its first line is the subject, the rest the message. */
export interface Template {
  readonly subject: string
  readonly text: string
  /** The content of the body, or a whole document. Empty: the message has no HTML. */
  readonly html: string
}

export const PLACEHOLDER = /\{([a-z_]+)\}/g
const MAX_VALUE_CHARACTERS = 320
const MAX_SUBJECT_CHARACTERS = 200
/** Instants, in epoch seconds. */
const INSTANTS = ['when', 'until']

/**
 * Puts the values into a text. No value can become markup, a header or a line of its own.
 *
 * @param language a BCP 47 tag, for instants
 * @throws DeliveryError, permanent, when the text needs a value that is not there
 */
export function render({ subject, text, html }: Template, data: Facts, language: string): Template {
  const shown = (name: string) => {
    const value = data[name]
    if (value === undefined) throw new DeliveryError(`its text needs {${name}}`, { permanent: true })
    if (name === 'link') return value
    return INSTANTS.includes(name) && /^\d{1,12}$/.test(value) ? asInstant(Number(value), language) : harmless(value)
  }
  const inText = (template: string) => template.replace(PLACEHOLDER, (_, name: string) => shown(name))
  const title = oneLine(inText(subject)).slice(0, MAX_SUBJECT_CHARACTERS)
  const body = html.replace(PLACEHOLDER, (_, name: string) => escaped(shown(name)))
  return { subject: title, text: inText(text), html: html === '' ? '' : page(body, title, language) }
}

/** As people of the language write it. Nobody knows where the reader is, so it is UTC, and says so. */
function asInstant(seconds: number, language: string): string {
  const format = new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })
  return `${format.format(new Date(seconds * 1000))} UTC`
}

/**
 * Somebody else may have chosen a value, for example a user agent. Mail programs make a link of everything that looks
 * like one, so nothing does: the only link is ours.
 */
function harmless(value: string): string {
  const line = oneLine(value.replaceAll('://', ' ').replaceAll(/www\./gi, 'www '))
  return line === '' ? '–' : line.slice(0, MAX_VALUE_CHARACTERS)
}

/** Control characters, line breaks and marks that turn the direction of writing (`\p{C}`) become blanks. */
const oneLine = (value: string) => value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim()

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (value: string) => value.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')

/** A whole document is taken as it is. */
function page(body: string, title: string, language: string): string {
  if (/^\s*<(?:!doctype|html)\b/i.test(body)) return body
  return `<!doctype html>
<html lang="${escaped(language)}">
<head><meta charset="utf-8"><title>${escaped(title)}</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 36em">
${body}</body>
</html>
`
}
