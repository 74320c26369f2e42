import { randomBytes } from 'node:crypto'

export type RecordPurpose = 'ownership' | 'spf' | 'dkim' | 'dmarc' | 'mx'

/** A record that a domain's DNS should have, and what it was seen to have. */
export type DnsRecord = {
  type: 'TXT' | 'MX'
  name: string
  /** What it should say. */
  value: string
  /** Without it the domain is not verified. */
  required: boolean
  /** What was there when it was last looked at. */
  seen: string[]
  /** Whether that is right; null before the first look, and when DNS did not answer. */
  verified: boolean | null
}

/** A domain's records by what they are for; what is stored in dns_records. */
export type DnsRecords = Record<RecordPurpose, DnsRecord> & { checkedAt: string | null }

/** Names of ours that tenants' DNS points to. */
export type MailHosts = { spf: string; mx: string }

export const PURPOSES: readonly RecordPurpose[] = ['ownership', 'spf', 'dkim', 'dmarc', 'mx']

const OWNERSHIP_PREFIX = 'penguinmails-verification='

/** Names of ours in a mail domain. */
export function mailHosts(mailDomain: string): MailHosts {
  return { spf: `_spf.${mailDomain}`, mx: `mx.${mailDomain}` }
}

/** What a new domain's DNS should say. Its ownership is proved by a word that nobody can guess. */
export function makeRecords(
  domain: string,
  { selector, dkimRecord, hosts }: { selector: string; dkimRecord: string; hosts: MailHosts },
): DnsRecords {
  const record = (type: 'TXT' | 'MX', name: string, value: string, required: boolean): DnsRecord => {
    return { type, name, value, required, seen: [], verified: null }
  }
  const token = randomBytes(20).toString('hex')
  return {
    ownership: record('TXT', `_penguinmails.${domain}`, `${OWNERSHIP_PREFIX}${token}`, true),
    spf: record('TXT', domain, `v=spf1 include:${hosts.spf} ~all`, true),
    dkim: record('TXT', `${selector}._domainkey.${domain}`, dkimRecord, true),
    dmarc: record('TXT', `_dmarc.${domain}`, `v=DMARC1; p=none`, false),
    mx: record('MX', domain, `10 ${hosts.mx}`, false),
    checkedAt: null,
  }
}

/** Records as they are stored; null for a domain that has none of this form. */
export function readRecords(stored: unknown): DnsRecords | null {
  const records = stored as Partial<DnsRecords> | null
  const isWhole = PURPOSES.every((purpose) => typeof records?.[purpose]?.value === 'string')
  return isWhole && records?.ownership?.value.startsWith(OWNERSHIP_PREFIX) ? (records as DnsRecords) : null
}

/** Whether what was seen is what a record should say. */
export function isRight(purpose: RecordPurpose, { value, seen }: Pick<DnsRecord, 'value' | 'seen'>): boolean {
  switch (purpose) {
    case 'ownership':
      return seen.some((text) => text.trim() === value)
    case 'spf':
      return isSpfRight(seen, value)
    case 'dkim':
      return seen.some((text) => isSameKey(text, value))
    case 'dmarc':
      return seen.filter((text) => /^v=DMARC1\s*;/i.test(text.trim())).some((text) => tagsOf(text).has('p'))
    case 'mx':
      return seen.some((text) => text.split(' ')[1]?.toLowerCase() === value.split(' ')[1])
  }
}

/** Exactly one SPF record (RFC 7208: two are an error), with our include and nothing that fails before it. */
function isSpfRight(seen: readonly string[], value: string): boolean {
  const records = seen.filter((text) => /^v=spf1(\s|$)/i.test(text.trim()))
  const [, include = ''] = value.split(' ')
  const [record = ''] = records
  const terms = record.trim().toLowerCase().split(/\s+/)
  const place = terms.findIndex((term) => term === include || term === `+${include}`)
  return records.length === 1 && place > 0 && !terms.slice(0, place).some((term) => /^[-~?+]?all$/.test(term))
}

/** Keys are compared without the space that DNS panels put into them; an empty one is a key that was revoked. */
function isSameKey(text: string, value: string): boolean {
  const [seen, wanted] = [tagsOf(text), tagsOf(value)]
  const keyOf = (tags: Map<string, string>) => tags.get('p')?.replace(/\s+/g, '') ?? ''
  const version = seen.get('v') ?? 'DKIM1'
  const type = seen.get('k') ?? 'rsa'
  return version === 'DKIM1' && type === wanted.get('k') && keyOf(seen) !== '' && keyOf(seen) === keyOf(wanted)
}

/** `a=1; b=2` as a map. */
function tagsOf(text: string): Map<string, string> {
  return new Map(
    text.split(';').flatMap((tag) => {
      const place = tag.indexOf('=')
      return place < 0 ? [] : [[tag.slice(0, place).trim(), tag.slice(place + 1).trim()] as const]
    }),
  )
}
