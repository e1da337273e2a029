import { createSession, type LogoutScope, type SignetClientError, type State, type Why } from 'signet-client'

// Pages with sign-up, login, sessions, a payment, and what the links in messages lead to, on nothing but
// `signet-client`. Copy what you need.

const find = <E extends Element>(selector: string): E => {
  const element = document.querySelector<E>(selector)
  if (element === null) throw new Error(`the page has no ${selector}`)
  return element
}
const issuer = find<HTMLMetaElement>('meta[name=issuer]').content

const session = createSession({
  issuer,
  transport: 'cookie',
  apiOrigins: [location.origin], // the demo's own API; the issuer always gets the token
  onStepUp: askForPassword,
  onEvent: (event) => note(event.type === 'waiting' ? `no answer (${event.error.code}), next try later` : event.type),
})

/** One line in the list of what happened. Everything is text: nothing that a server sent becomes markup. */
function note(text: string): void {
  const line = document.createElement('li')
  line.textContent = `${new Date().toLocaleTimeString()}  ${text}`
  find('#log').prepend(line)
}

/** Runs what a button asks for, and shows what came of it in its form, else in the list. */
async function act(button: HTMLButtonElement, work: () => Promise<unknown>): Promise<void> {
  const said = button.form?.querySelector('output')
  const say = (text: string) => (said ? said.replaceChildren(text) : note(text))
  if (button.disabled) return // a second click meanwhile
  button.disabled = true
  try {
    const text = await work()
    button.form?.reset()
    if (typeof text === 'string') say(text)
  } catch (error) {
    const { detail, title } = (error as Partial<SignetClientError>).problem ?? {}
    say(detail ?? title ?? (error as Error).message)
  } finally {
    button.disabled = false
  }
}

type Fields = Record<string, string>

/** What a form does when somebody sends it. It is never sent by the browser itself: the policy forbids that. */
function onSubmit(selector: string, send: (fields: Fields, button: string) => Promise<string>): void {
  const form = find<HTMLFormElement>(selector)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const button = (event as SubmitEvent).submitter as HTMLButtonElement
    act(button, () => send(Object.fromEntries(new FormData(form)) as Fields, button.name))
  })
}

/** JSON of one of the two servers. @throws Error with what the server says */
async function getJson<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await session.fetch(url, init)
  const body = response.status === 204 ? undefined : await response.json()
  if (!response.ok) throw new Error(body.detail ?? body.title)
  return body
}

// Signing in

onSubmit('#sign-in', async ({ email = '', password = '' }, button) => {
  if (button === 'login') await session.login({ email, password })
  else if ((await session.register({ email, password })) === 'confirm-email') location.assign('/confirm-email')
  return ''
})

// What somebody does with a message. Its link carries a token behind the `#`, which no server sees. Nothing is sent
// before a button is pressed: mail scanners open links, and run the scripts of the page.

const token = new URLSearchParams(location.hash.slice(1)).get('token')
if (token !== null) history.replaceState(null, '', location.pathname) // out of the address bar and the history
addEventListener('hashchange', () => location.reload()) // the link of another message, in the same tab
for (const part of document.querySelectorAll<HTMLFieldSetElement>('.by-code')) part.disabled = token !== null

/** The token of the link; or the code, when the message is read on another device. */
const proofOf = ({ email = '', code = '' }: Fields) => (token === null ? { email, code } : { token })

onSubmit('#forgot', async ({ email = '' }) => {
  await session.recover(email)
  return 'If there is an account with this address, a message is on its way: open its link, or enter its code.'
})
onSubmit('#recover', async ({ password: newPassword = '', ...fields }) => {
  await session.confirmRecovery({ ...proofOf(fields), newPassword })
  return 'Your password is set, and every session has ended. Log in with the new one.'
})
onSubmit('#confirm-email', async (fields) => {
  await session.confirmEmail(proofOf(fields))
  return 'Your address is confirmed.'
})
onSubmit('#not-me', async () => {
  await session.notMe(token ?? 'none')
  return 'Every session has ended. A message is on its way, to set a new password.'
})

// Signed in

type Listed = { id: string; current: boolean; user_agent: string | null; ip: string | null; last_used_at: string }

function showClaims(): void {
  const { sub, sid, roles = [], auth_time: login = 0, exp = 0 } = session.claims ?? {}
  const time = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString()
  const rows = [
    ['account', sub],
    ['session', sid],
    ['roles', roles.join(', ') || 'none'],
    ['password shown', time(login)],
    ['token ends', time(exp)],
  ]
  find('#claims').replaceChildren(
    ...rows.flatMap((row) =>
      row.map((text, index) => Object.assign(document.createElement(index ? 'dd' : 'dt'), { textContent: text })),
    ),
  )
}

async function showSessions(): Promise<void> {
  const { sessions } = await getJson<{ sessions: Listed[] }>(`${issuer}/v1/sessions`)
  find('#sessions').replaceChildren(...sessions.map(sessionRow))
}

function sessionRow({ id, current, user_agent: agent, ip, last_used_at: at }: Listed): HTMLTableRowElement {
  const row = document.createElement('tr')
  row.insertCell().textContent = current ? 'this one' : `${(agent ?? 'unknown').slice(0, 24)} ${ip ?? ''}`
  row.insertCell().textContent = new Date(at).toLocaleTimeString()
  const button = Object.assign(document.createElement('button'), { textContent: 'End', className: 'quiet' })
  row.insertCell().append(button)
  button.addEventListener('click', () =>
    act(button, async () => {
      await getJson(`${issuer}/v1/sessions/${id}`, { method: 'DELETE' })
      await (current ? session.refresh() : showSessions())
    }),
  )
  return row
}

for (const button of document.querySelectorAll<HTMLButtonElement>('[data-logout]'))
  button.addEventListener('click', () =>
    act(button, async () => {
      await session.logout(button.dataset.logout as LogoutScope)
      if (session.state === 'signed-in') await showSessions()
    }),
  )

const renew = find<HTMLButtonElement>('#refresh')
renew.addEventListener('click', () => act(renew, session.refresh))

onSubmit('#change-email', async ({ email: newEmail = '', password = '' }) => {
  await session.changeEmail({ newEmail, password })
  return `A message is on its way to ${newEmail}. Nothing changes until its link is used.`
})

async function showEmail(): Promise<void> {
  const { email } = await getJson<{ email: string }>(`${issuer}/v1/account`)
  find('#email').textContent = email
}

// A payment: the API asks for a recent password, and the same request is repeated with the new token.

const pay = find<HTMLButtonElement>('#pay')
pay.addEventListener('click', () =>
  act(pay, async () => {
    note(`paid, receipt ${(await getJson<{ receipt: string }>('/api/payments', { method: 'POST' })).receipt}`)
  }),
)

async function askForPassword(): Promise<void> {
  const dialog = find<HTMLDialogElement>('#step-up')
  const input = find<HTMLInputElement>('#step-up input')
  dialog.returnValue = ''
  input.value = ''
  dialog.showModal()
  await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }))
  if (dialog.returnValue === 'confirm') await session.reauthenticate(input.value)
}

// The page follows the session, whichever tab it changed in.

function show(state: State, why?: Why): void {
  find('#state').textContent = state
  find<HTMLElement>('#signed-in').hidden = state !== 'signed-in'
  find<HTMLElement>('#signed-out').hidden = state !== 'signed-out'
  if (why !== undefined) note(`${state}: ${why}`)
  if (state !== 'signed-in') return
  find<HTMLFormElement>('#sign-in').reset()
  showClaims()
  if (why !== 'renewed') Promise.all([showEmail(), showSessions()]).catch((error) => note(String(error)))
}

for (const part of document.querySelectorAll<HTMLElement>('[data-path]'))
  part.hidden = part.dataset.path !== location.pathname
session.onChange(show)
if (location.pathname === '/') show(await session.start()) // the other pages need no session
