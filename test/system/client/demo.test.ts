import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { simpleParser } from 'mailparser'
import t from 'tap'
import { createDemoServer } from '../../../scripts/demo/demo-server.ts'
import { type BrowserTab, programOf } from '../../../scripts/lab/client/browsers/browser.ts'
import { startChromium } from '../../../scripts/lab/client/browsers/chromium.ts'
import { freePort } from '../../support/free-port.ts'
import { startServer } from '../../support/service.ts'
import { PASSWORD } from '../../support/settings.ts'

// The pages of `npm run demo` in a real browser: from "forgot your password" through the messages to the new session.

const NEXT = 'a new horse battery staple'
const EMAIL = 'ada@example.com'
const NEW_EMAIL = 'ada@example.org'

const program = programOf('chromium')
const started = program === undefined ? undefined : await startChromium(program).catch((error: Error) => error)
const skip = started === undefined ? 'no Chromium is installed' : started instanceof Error && started.message

/** Looks again and again until there is something. */
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let turn = 0; turn < 600; turn += 1) {
    const found = await look()
    if (found !== undefined) return found
    await pause(50)
  }
  throw new Error(`it never came: ${what}`)
}

/** Waits until a visible part of the page says something. */
const says = (tab: BrowserTab, selector: string, text: string) =>
  until(`${selector} says: ${text}`, async () => {
    const part = `document.querySelector('${selector}')`
    const said = await tab.evaluate<string>(`${part}?.checkVisibility() ? ${part}.innerText : null`).catch(() => null)
    return said?.includes(text) ? true : undefined
  })

/** What a person does with a form. */
async function send(tab: BrowserTab, form: string, fields: Record<string, string>, button = 'button'): Promise<void> {
  await says(tab, form, '')
  await tab.evaluate(`{
    const form = document.querySelector('${form}')
    for (const [name, value] of Object.entries(${JSON.stringify(fields)})) form.elements[name].value = value
    form.querySelector('${button}').click()
  }`)
}

/** Waits for the message to an address with a word in its subject. @returns its link to a page */
const linkFrom = (outbox: string, to: string, path: string, subject: string) =>
  until(`a message to ${to} with a link to ${path}: ${subject}`, async () => {
    for (const name of await readdir(outbox).catch(() => [])) {
      if (!name.endsWith('.eml')) continue
      const mail = await simpleParser(await readFile(join(outbox, name)))
      const [link] = new RegExp(`http\\S+${path}#token=\\S+`).exec(mail.text ?? '') ?? []
      if (link !== undefined && [mail.to].flat()[0]?.text === to && mail.subject?.includes(subject)) return link
    }
    return undefined
  })

t.test('a forgotten password, another address, and "not me", with the messages as files', { skip }, async (t) => {
  if (started === undefined || started instanceof Error) return
  t.teardown(() => started.close())
  const [port, pagePort] = [await freePort(), await freePort()]
  const [issuer, page] = [`http://localhost:${port}`, `http://localhost:${pagePort}`]
  const own = { PORT: String(port), ISSUER: issuer, AUDIENCE: issuer, CORS_ORIGINS: page, APP_URL: page }
  const { env } = await startServer(t, own)
  const outbox = String(env.MAIL_URL).replace('file:', '')
  const demo = await createDemoServer(issuer)
  t.teardown(() => demo.close())
  await demo.listen({ port: pagePort, host: 'localhost' })

  const logIn = (tab: BrowserTab, email: string, password: string, button = 'login') =>
    send(tab, '#sign-in', { email, password }, `[name=${button}]`)
  const isEnded = async (tab: BrowserTab) => {
    await tab.evaluate("document.querySelector('#refresh').click()")
    await says(tab, '#log', 'signed-out: ended')
    await says(tab, '#sign-in', 'Log in')
  }
  /** Opens a link as a person does, or a mail scanner. */
  const open = async (link: string) => {
    const tab = await started.open(link)
    await says(tab, `main[data-path="${new URL(link).pathname}"]`, '')
    const address = await tab.evaluate<string>('location.href')
    t.notMatch(address, 'sot_', 'the token is out of the address bar')
    const asked = await tab.evaluate<string[]>("performance.getEntriesByType('resource').map(({ name }) => name)")
    t.same(asked.map((url) => new URL(url).pathname).sort(), ['/app.js', '/style.css'], 'a GET sends nothing')
    return tab
  }

  const here = await started.open(page)
  await logIn(here, EMAIL, PASSWORD, 'register')
  await says(here, '#email', EMAIL)
  const elsewhere = await started.openApart(page)
  await logIn(elsewhere, EMAIL, PASSWORD)
  await says(elsewhere, '#state', 'signed-in')

  const forgot = await open(`${page}/forgot`)
  await send(forgot, '#forgot', { email: EMAIL })
  await says(forgot, '#forgot output', 'a message is on its way')
  const recover = await open(await linkFrom(outbox, EMAIL, '/recover', 'password'))
  await send(recover, '#recover', { password: 'short' })
  await says(recover, '#recover output', 'at least 15')
  await send(recover, '#recover', { password: NEXT })
  await says(recover, '#recover output', 'Your password is set')
  for (const tab of [elsewhere, here]) await isEnded(tab)
  await logIn(here, EMAIL, PASSWORD)
  await says(here, '#sign-in output', 'wrong')
  await logIn(here, EMAIL, NEXT)
  await says(here, '#email', EMAIL)

  await send(here, '#change-email', { email: NEW_EMAIL, password: NEXT })
  await says(here, '#change-email output', NEW_EMAIL)
  const confirm = await open(await linkFrom(outbox, NEW_EMAIL, '/confirm-email', 'address'))
  await send(confirm, '#confirm-email', {})
  await says(confirm, '#confirm-email output', 'confirmed')
  await here.reload()
  await says(here, '#email', NEW_EMAIL)

  const tooLate = await open(await linkFrom(outbox, EMAIL, '/not-me', 'password'))
  await send(tooLate, '#not-me', {})
  await says(tooLate, '#not-me output', 'too old') // it was for the former address
  const notMe = await open(await linkFrom(outbox, EMAIL, '/not-me', 'address'))
  await send(notMe, '#not-me', {})
  await says(notMe, '#not-me output', 'Every session has ended')
  await isEnded(here)
  await logIn(here, EMAIL, NEXT)
  await says(here, '#sign-in output', 'recovery')
})
