/** How an attempt ended, as the oltp tier takes it. */
export type SendOutcome =
  | 'SENT'
  | 'DEFERRED'
  | 'MAILBOX_UNKNOWN'
  | 'REFUSED'
  | 'UNREACHABLE'
  | 'AUTH_FAILED'
  | 'UNKNOWN'
  | 'ABORTED'

/** What nodemailer's errors tell. */
export type SmtpError = Error & { code?: string; command?: string; response?: string; responseCode?: number }

/** RFC 3463: the address itself is at fault. Told in words by servers that give no such code. */
const BAD_ADDRESS = /\b5\.1\.(?:0|1|2|3|6|10)\b/
const ENHANCED_CODE = /\b5\.\d{1,3}\.\d{1,3}\b/
const BAD_ADDRESS_WORDS =
  /\b(?:user|recipient|mailbox|address|account)\b[^.]*\b(?:unknown|not found|does ?n[o']t exist|not exist|invalid|no longer)|\b(?:no such|unknown) (?:user|recipient|mailbox|address|account|person)\b/i

/** What a failed attempt means when the other server cannot have got the text, or has said what it thinks of it. */
export function classifyFailure(error: SmtpError): SendOutcome {
  const { code, command = '', response = '', responseCode } = error
  const isFinal = responseCode !== undefined && responseCode >= 500
  const isForNow = responseCode !== undefined && responseCode >= 400 && responseCode < 500
  if (code === 'EAUTH') return isForNow ? 'DEFERRED' : 'AUTH_FAILED'
  if (isForNow) return 'DEFERRED'
  if (command === 'RCPT TO' && isFinal) return isBadAddress(response) ? 'MAILBOX_UNKNOWN' : 'REFUSED'
  if ((command === 'MAIL FROM' || command === 'DATA') && isFinal) return 'REFUSED'
  // A server that greets with a refusal speaks of us, not of the mail.
  return isFinal ? 'DEFERRED' : 'UNREACHABLE'
}

/** Whether the other server has answered, so that how the attempt ended is known. */
export function isAnswered({ responseCode, command }: SmtpError): boolean {
  return responseCode !== undefined && command === 'DATA'
}

function isBadAddress(response: string): boolean {
  if (ENHANCED_CODE.test(response)) return BAD_ADDRESS.test(response)
  return BAD_ADDRESS_WORDS.test(response)
}
