import { NOTICE_EVENTS, type TextName } from './message.ts'

/** The way back to the application, and until when it works. A text that has them must show `{link}` or `{token}`. */
const LINK = ['link', 'token', 'until'] as const
const NOTICE = ['when', 'where', 'client'] as const
const NOTICES_WITH_LINK = ['login', 'password_changed', 'email_changed', 'session_ended']

const notices = NOTICE_EVENTS.map((event) => [
  `notice-${event}`,
  NOTICES_WITH_LINK.includes(event) ? [...NOTICE, ...LINK] : NOTICE,
])

/** The placeholders of each text, beside `{app}` and `{email}`, which all have. */
export const TEXTS = {
  recovery: [...LINK, 'code'],
  registration: [...LINK, 'code'],
  registration_repeated: ['when'],
  invitation: LINK,
  email_change: [...LINK, 'code'],
  email_change_notice: [...LINK, 'when'],
  ...Object.fromEntries(notices),
} as Readonly<Record<TextName, readonly string[]>>

export const TEXT_NAMES = Object.keys(TEXTS) as TextName[]

/** The names that a text may use. `app` is the host of APP_URL, `email` the address that the message goes to. */
export const placeholdersOf = (name: TextName): readonly string[] => ['app', 'email', ...TEXTS[name]]

export const needsLink = (name: TextName): boolean => TEXTS[name].includes('link')
