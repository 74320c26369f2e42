import { type Envelope, firstValue } from './mailEnvelope.ts'
import type { HeaderField } from './mailHeaders.ts'

/** Fields that only programs write which answer by themselves; `no` and `false` say that none did. */
const MACHINE_FIELDS = [
  'x-autoreply',
  'x-auto-reply',
  'x-autorespond',
  'x-autoresponder',
  'x-autoreply-from',
  'x-mail-autoreply',
  'x-fc-machinegenerated',
]

/** How subjects of absence notices begin, as the usual programs write them in the languages they are used in. */
const ABSENCE = new RegExp(
  `^[[(*\\s]*(?:${[
    'auto(?:matic(?:ally)?)?[ -]?(?:reply|response|generated reply)',
    'autoreply',
    'autosvar',
    'out[ -]of[ -](?:the[ -])?office',
    'ooo\\b',
    'away from (?:the|my) (?:office|desk)',
    'on vacation\\b',
    'vacation (?:reply|response|message|notice)',
    'abwesenheits?(?:notiz|nachricht|meldung|assistent)?\\b',
    'automatische (?:antwort|rückantwort)',
    'automatisch antwoord',
    'afwezig(?:heid)?',
    'réponse automatique',
    'absen(?:ce|t|te) du bureau',
    'respuesta autom[aá]tica',
    'fuera de (?:la )?oficina',
    'risposta automatica',
    'fuori (?:sede|ufficio)',
    'resposta autom[aá]tica',
    'fora do escrit[oó]rio',
    'aus[eê]ncia (?:do escrit[oó]rio|tempor[aá]ria)',
    'automatiskt? svar',
    'frånvaro',
    'fravær',
    'automaattinen vastaus',
    'poissa toimistosta',
    'automatyczna odpowied[zź]',
    'odpowied[zź] automatyczna',
    'automatická odpov[eě][dď]',
    'automatikus válasz',
    'răspuns automat',
    'otomatik yan[ıi]t',
    'автоматический ответ',
    'автоответ',
    'автоматична відповідь',
    'αυτόματη απάντηση',
    '自动(?:回复|答复)',
    '自動(?:応答|回覆|返信)',
    '不在(?:通知|のお知らせ)',
    '자동 ?(?:회신|응답)',
  ].join('|')})`,
  'iu',
)

/**
 * Whether a machine wrote a mail in answer: RFC 3834's Auto-Submitted, what was used before it, and subjects of absence
 * notices. `X-Auto-Response-Suppress` is no sign: it is a request of the sender, ordinary mail carries it. What a mailing
 * list sends is mail, whoever wrote it there.
 */
export function isAutoReply(fields: readonly HeaderField[], { subject, inReplyTo, references }: Envelope): boolean {
  const value = (name: string) => (firstValue(fields, name) ?? '').trim().toLowerCase()
  const precedence = value('precedence')
  if (isFromList(fields)) return false
  const autoSubmitted = value('auto-submitted').split(/[;\s]/)[0]
  if (autoSubmitted) return autoSubmitted !== 'no'
  if (precedence === 'auto_reply' || precedence === 'auto-reply') return true
  if (MACHINE_FIELDS.some((name) => !['', 'no', 'false'].includes(value(name)))) return true
  if (value('x-post-messageclass').includes('autoresponder')) return true
  // Nobody answers in bulk, and no person writes with the null sender: vacation programs do.
  const isAnswer = inReplyTo.length > 0 || references.length > 0
  const isMachines = ['bulk', 'junk'].includes(precedence) || value('return-path').replace(/\s/g, '') === '<>'
  return (isAnswer && isMachines) || ABSENCE.test(subject ?? '')
}

/** Whether a mailing list passed it on. */
export function isFromList(fields: readonly HeaderField[]): boolean {
  const has = (name: string) => (firstValue(fields, name) ?? '').trim() !== ''
  return has('list-id') || has('list-post') || firstValue(fields, 'precedence')?.trim().toLowerCase() === 'list'
}

/** Whether it was sent to many: nothing that one of our mails would be answered by. */
export function isBulk(fields: readonly HeaderField[]): boolean {
  const precedence = (firstValue(fields, 'precedence') ?? '').trim().toLowerCase()
  return isFromList(fields) || firstValue(fields, 'list-unsubscribe') !== null || ['bulk', 'junk'].includes(precedence)
}
