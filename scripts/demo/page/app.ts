import { createSession, type LogoutScope, SignetClientError, type State, type Why } from 'signet-client'

// A page with sign-up, login, sessions and a payment, on nothing but `signet-client`. Copy what you need.

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

/** Runs what a button asks for, and shows what went wrong. A second click meanwhile does nothing. */
async function act(button: HTMLButtonElement, work: () => Promise<unknown>): Promise<void> {
  if (button.disabled) return
  button.disabled = true
  try {
    await work()
  } catch (error) {
    note(error instanceof SignetClientError ? (error.problem?.detail ?? error.message) : String(error))
  } finally {
    button.disabled = false
  }
}

/** JSON of one of the two servers. @throws Error with what the server says */
async function getJson<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await session.fetch(url, init)
  const body = response.status === 204 ? undefined : await response.json()
  if (!response.ok) throw new Error(body.detail ?? body.title)
  return body
}

// Signing in

const signIn = find<HTMLFormElement>('#sign-in')
signIn.addEventListener('submit', (event) => {
  event.preventDefault()
  const button = (event as SubmitEvent).submitter as HTMLButtonElement
  const form = new FormData(signIn)
  const credentials = { email: String(form.get('email')), password: String(form.get('password')) }
  act(button, () => (button.name === 'register' ? session.register(credentials) : session.login(credentials)))
})

// Signed in

interface Listed {
  readonly id: string
  readonly current: boolean
  readonly user_agent: string | null
  readonly ip: string | null
  readonly last_used_at: string
}

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

// A payment: the API asks for a recent password, and the same request is repeated with the new token.

const pay = find<HTMLButtonElement>('#pay')
pay.addEventListener('click', () =>
  act(pay, async () => {
    const { receipt } = await getJson<{ receipt: string }>('/api/payments', { method: 'POST' })
    note(`paid, receipt ${receipt}`)
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
  signIn.hidden = state !== 'signed-out'
  if (why !== undefined) note(`${state}: ${why}`)
  if (state !== 'signed-in') return
  signIn.reset()
  showClaims()
  if (why !== 'renewed') showSessions().catch((error) => note(String(error)))
}

session.onChange(show)
show(await session.start())
