import { Type } from '@sinclair/typebox'

/** What owners can be told of; `messages/notice-rules.ts` says which events these are. */
export const NOTICES = [
  'login',
  'password_changed',
  'email_changed',
  'session_ended',
  'account_status',
  'wrong_passwords',
] as const
export type NoticeName = (typeof NOTICES)[number]

/** Settings of the messages to people: how they leave, and where their links lead. */
export const messageSettings = {
  MAIL_URL: Type.Optional(
    Type.String({
      format: 'mail-url',
      description:
        'How messages leave: `smtp://user:password@host:587`, `smtps://…`, a webhook `https://…`, or `file:PATH` for a ' +
        'folder of `.eml` files. Default: `file:./data/outbox`; in production none, and nothing is sent',
      secret: true,
    }),
  ),
  MAIL_FROM: Type.Optional(
    Type.String({
      format: 'mail-from',
      maxLength: 320,
      description:
        'Sender of every message: `Example <no-reply@example.com>`. Default: no-reply at the host of the issuer',
    }),
  ),
  MAIL_WEBHOOK_SECRET_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'File whose first line is the secret that signs calls of the webhook; a MAIL_URL of https needs it',
    }),
  ),
  MAIL_TEXTS: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Folder with texts of your own, `<language>/<name>.txt` and `.html`; what is not there is ours',
    }),
  ),
  APP_URL: Type.Optional(
    Type.String({
      format: 'issuer',
      maxLength: 255,
      description:
        'Your application, to which the links in messages lead. Production with MAIL_URL needs it. Default elsewhere: ' +
        'the first of CORS_ORIGINS, else the issuer',
    }),
  ),
  LINK_RECOVER: Type.String({
    format: 'link',
    default: '/recover#token={token}',
    description: 'Page for a new password, after APP_URL or as a whole URL; `{token}` must stand behind the `#`',
  }),
  LINK_CONFIRM_EMAIL: Type.String({
    format: 'link',
    default: '/confirm-email#token={token}',
    description: 'Page that confirms an address; likewise',
  }),
  LINK_NOT_ME: Type.String({
    format: 'link',
    default: '/not-me#token={token}',
    description: 'Page for "this was not me"; likewise',
  }),
  NOTICES: Type.Array(Type.Union([...NOTICES, 'none'].map((name) => Type.Literal(name))), {
    minItems: 1,
    uniqueItems: true,
    default: [...NOTICES],
    description: `What owners are told of, comma-separated: ${NOTICES.map((name) => `\`${name}\``).join(', ')}, or \`none\``,
  }),
  EMAIL_VERIFIED_CLAIM: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'off',
    description: '`on` puts `email_verified` into the access tokens of people',
  }),
}
