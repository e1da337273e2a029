import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { lookupLanguage } from '../../src/messages/language.ts'
import { mailOf } from '../../src/messages/mail.ts'
import type { Composed, Letter } from '../../src/messages/message.ts'
import { faultsOf } from '../../src/messages/own-texts.ts'
import { render } from '../../src/messages/render.ts'
import { needsLink, placeholdersOf, TEXT_NAMES } from '../../src/messages/text-names.ts'
import { OUR_LANGUAGES, openTexts, ourText } from '../../src/messages/texts.ts'
import { anyText } from '../support/any-text.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NOW = 1_800_000_000
const APP_URL = 'https://app.example.com'
const LINK = 'https://app.example.com/recover#token=t0k&x=1'
const VALUES: Record<string, string> = {
  link: LINK,
  token: 't0k',
  code: 'ABCD2345',
  until: String(NOW + 900),
  when: String(NOW),
  where: '192.0.2.1',
  client: 'Firefox',
}
const HEAD = { kind: 'recovery', messageId: 'id1@example.com', date: NOW } as const
const composed = (over: Partial<Exclude<Composed, 'drop'>> = {}) => ({
  to: 'you@example.com',
  language: 'en',
  data: VALUES,
  statements: [],
  ...over,
})
const ours = await openTexts({ APP_URL })

t.test('our texts: each in each language, plain and HTML, with its link and nothing that is fetched', async (t) => {
  for (const language of OUR_LANGUAGES) {
    const files = await readdir(new URL(`../../src/messages/texts/${language}`, import.meta.url))
    t.same(files.sort(), TEXT_NAMES.flatMap((name) => [`${name}.html`, `${name}.txt`]).sort())
    for (const name of TEXT_NAMES) {
      const template = await ourText(language, name)
      t.not(template.subject, '', name)
      t.same(faultsOf(name, template.text), [], `${language}/${name}.txt`)
      t.same(faultsOf(name, template.html), [], `${language}/${name}.html`)
      t.notMatch(template.html, /src=|url\(|https?:|<(?:img|link|script|style|iframe|form)\b/i, 'nothing of elsewhere')
      const all = Object.fromEntries(placeholdersOf(name).map((one) => [one, VALUES[one] ?? 'you@example.com']))
      const letter = render(template, all, language)
      for (const part of [letter.subject, letter.text, letter.html]) t.notMatch(part, /\{|\}|undefined/)
      if (needsLink(name)) t.match(letter.html, 'href="https://app.example.com/recover#token=t0k&amp;x=1"')
      if (needsLink(name)) t.match(letter.text, `\n${LINK}\n`)
      const [english] = await Promise.all([ourText('en', name)])
      if (language !== 'en') t.not(template.text, english.text, 'it is translated')
    }
  }
})

t.test('the language: what the account or the browser wants first of what there is (RFC 4647 lookup)', async (t) => {
  const cases: [wanted: string, found: string | undefined][] = [
    ['de', 'de'],
    ['DE-ch', 'de'],
    ['de-Latn-AT-1996', 'de'],
    ['zh-Hant-TW', 'zh-Hant'],
    ['fr, de;q=0.5, en;q=0.8', 'en'],
    ['fr;q=0.9, de;q=0.9', 'de'],
    ['en;q=0, de;q=0.1', 'de'],
    ['en;q=0', undefined],
    ['*', undefined],
    ['', undefined],
    ['deutsch!', undefined],
    ['de\r\nBcc: x@example.com', undefined],
    ['x-de', undefined],
    [`${'fr,'.repeat(50)}de`, undefined],
    ['a'.repeat(100_000), undefined],
  ]
  for (const [wanted, found] of cases)
    t.equal(lookupLanguage(wanted, ['en', 'de', 'zh-Hant']), found, wanted.slice(0, 40))
})

t.test('instants are written as the language does, in UTC', async (t) => {
  t.match((await ours.write(composed({ language: 'de-AT' }), HEAD)).text, /15\. Januar 2027 um 08:15 UTC/)
  t.match((await ours.write(composed({ language: 'fr, en;q=0.1' }), HEAD)).text, /January 15, 2027 at 8:15.AM UTC/)
})

t.test('a subject is one line, whatever its text is', async (t) => {
  t.equal(render({ subject: ' A\0\u202eB {x}\n', text: '', html: '' }, { x: 'y' }, 'en').subject, 'A B y')
})

t.test('an address that could be read as more or less than one is not written to', async (t) => {
  const bad = [
    'a@b.example, c@d.example',
    'a@b.example\r\nBcc: c@d.example',
    'N <a@b.example>',
    '"a b"@c.example',
    'a',
    '=?utf-8?q?a=40b.example=2c?=@c.example',
  ]
  for (const to of bad)
    await t.rejects(ours.write(composed({ to }), HEAD), { message: 'its address can not be mailed' }, to)
  t.equal((await ours.write(composed({ to: 'jürgen+x@bücher.example' }), HEAD)).to, 'jürgen+x@bücher.example')
})

t.test('a value that a text needs and nobody gave kills the message instead of a blank', async (t) => {
  const { link: _, ...data } = VALUES
  await t.rejects(ours.write(composed({ data }), HEAD), { message: 'its text needs {link}' })
})

t.test('no value becomes a header, markup, a placeholder or a link (property)', async (t) => {
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer')
  const template = {
    subject: 'Login {client}',
    text: 'A\n{client}\n{link}\n',
    html: '<p title="{client}">{client}</p><a href=\'{link}\'>x</a>',
  }
  const hostile = fc.array(
    fc.oneof(
      fc.constantFrom(
        '\r\n',
        '\n',
        '\r',
        '\u2028',
        '\0',
        '\u202e',
        '<',
        '>',
        '"',
        "'",
        '&',
        '{link}',
        '{client}',
        '$&',
      ),
      fc.constantFrom(
        'Bcc: x@evil.example',
        '\r\n\r\n',
        '<script>',
        '=?utf-8?q?=0a?=',
        'https://evil.example',
        'WWW.e.x',
      ),
      anyText({ maxLength: 5 }),
    ),
    { maxLength: 30 },
  )
  await fc.assert(
    fc.asyncProperty(hostile, async (parts) => {
      const letter = render(template, { client: parts.join(''), link: LINK }, 'en')
      const kept: Letter = { ...HEAD, ...letter, to: 'you@example.com', language: 'en', data: {} }
      const raw = String(await new MailComposer(mailOf(kept, 'Ours <no-reply@example.com>')).compile().build())
      const [head = ''] = raw.split('\r\n\r\n')
      const names = head
        .replaceAll(/\r\n[ \t]+/g, ' ')
        .split('\r\n')
        .map((line) => line.split(':')[0])
      assert.deepEqual(names.toSorted(), HEADERS, 'the headers are ours')
      assert.doesNotMatch(letter.subject, /[\p{C}\p{Zl}\p{Zp}]/u)
      assert.equal(letter.text.split('\n').length, 4, 'no line of its own')
      assert.equal(letter.text.match(/:\/\/|www\./gi)?.length, 1, 'the only link is ours')
      assert.equal(letter.html.match(/[<>]/g)?.length, MARKUP, 'no markup of its own')
      assert.equal(letter.html.match(/["']/g)?.length, QUOTES)
    }),
    { numRuns: 200 },
  )
  t.pass('held')
})
const HEADERS = [
  'Auto-Submitted',
  'Content-Language',
  'Content-Type',
  'Date',
  'From',
  'MIME-Version',
  'Message-ID',
  'Subject',
  'To',
]
const plainPage = render({ subject: 'x', text: '', html: '<p title="">x</p><a href=\'\'>x</a>' }, {}, 'en').html
const MARKUP = plainPage.match(/[<>]/g)?.length
const QUOTES = plainPage.match(/["']/g)?.length

/** A folder with these files, and the texts of a server that uses it. */
async function own(t: Test, files: Record<string, string>) {
  const dir = await temporaryFolder(t)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(dir, name, '..'), { recursive: true })
    await writeFile(join(dir, name), text)
  }
  return openTexts({ MAIL_TEXTS: dir, APP_URL })
}
const GOOD = 'Subject: Hello {email}\n\nBonjour: {token}\n'

t.test("the operator's texts: what is not there is ours", async (t) => {
  const texts = await own(t, {
    'fr/recovery.txt': GOOD,
    'de/recovery.txt': GOOD,
    'de/recovery.html': '<!DOCTYPE html><p>{link}</p>',
    'de/.DS_Store': 'x',
  })
  const french = await texts.write(composed({ language: 'fr-CA' }), HEAD)
  t.match(french, { language: 'fr', subject: 'Hello you@example.com', text: 'Bonjour: t0k\n', html: '' })
  const german = await texts.write(composed({ language: 'de' }), HEAD)
  t.match(german.html, /^<!DOCTYPE html><p>https:/)
  const other = await texts.write(composed({ language: 'fr, de' }), { ...HEAD, kind: 'invitation' })
  t.match(other, { language: 'de', subject: 'Ihr Konto bei app.example.com' })
})

t.test("the operator's texts are checked when the server starts, each fault by name", async (t) => {
  const cases: [files: Record<string, string>, message: RegExp][] = [
    [{}, /it is empty/],
    [{ 'de/recovery.txt': 'Subject: x\n\nNothing\n' }, /de\/recovery\.txt has neither \{link\} nor \{token\}/],
    [{ 'de/recovery.txt': GOOD, 'de/recovery.html': '<p>' }, /recovery\.html has neither \{link\} nor \{token\}/],
    [{ 'de/recovery.txt': `${GOOD}{lnik}` }, /de\/recovery\.txt has \{lnik\}: its placeholders are \{app\}, \{email\}/],
    [{ 'de/recovery.txt': 'Bonjour {link}' }, /does not begin with "Subject: …" and an empty line/],
    [{ 'de/recovry.txt': GOOD }, /de\/recovry\.txt is no text: there are recovery, registration/],
    [{ 'de/recovery.html': '{link}' }, /de\/recovery\.html has no recovery\.txt beside it/],
    [{ 'deutsch_/recovery.txt': GOOD }, /deutsch_ is no folder of a language/],
    [{ 'de/recovery.txt': `${GOOD}${'x'.repeat(70_000)}` }, /has more than 65536 bytes/],
    [{ 'de/recovery.txt': `${GOOD}\ufffd` }, /is not UTF-8/],
  ]
  for (const [files, message] of cases) await t.rejects(own(t, files), { name: 'OperatorError', message })
  await t.rejects(openTexts({ MAIL_TEXTS: '/nowhere', APP_URL }), {
    message: /can't list the folder \/nowhere: ENOENT/,
  })
})
