import { isIP } from 'node:net'
import type { MailServerInput } from '#graphql/oltp'
import type { MailServer } from '#platform/contracts/mailServers.ts'
import { AppError } from '#platform/errors.ts'
import { isInsideAddress } from '#platform/insideAddresses.ts'
import { asciiDomain } from '../leads/leadInput.ts'
import { readOptionalText, readText } from '../texts.ts'

const HOST_NAME = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/
const LOCAL_NAME = /(^|\.)(localhost|local|internal|localdomain|home\.arpa)$/

/**
 * How a mailbox's server is reached, as it is stored.
 * @param allowsInside whether it may be on this machine or in our own networks
 * @throws AppError INVALID_INPUT naming the field
 */
export function readServer(given: MailServerInput, field: 'smtp' | 'imap', allowsInside: boolean): MailServer {
  const host = readHost(given.host, `${field}.host`, allowsInside)
  if (given.port < 1 || given.port > 65_535) {
    throw new AppError('INVALID_INPUT', `${field}.port: must be between 1 and 65535`)
  }
  return {
    host,
    port: given.port,
    secure: given.secure ?? true,
    user: readOptionalText(given.user, `${field}.user`, 254),
  }
}

function readHost(given: string, field: string, allowsInside: boolean): string {
  const text = readText(given, field, 253).replace(/^\[(.*)\]$/, '$1')
  const version = isIP(text)
  const host = version ? text : asciiDomain(text)
  if (!version && !HOST_NAME.test(host)) throw new AppError('INVALID_INPUT', `${field}: is not a server's name`)
  const isInside = version ? isInsideAddress(host) : LOCAL_NAME.test(host)
  if (isInside && !allowsInside) throw new AppError('INVALID_INPUT', `${field}: is not a public server`)
  // A name that is made of digits alone is an address in disguise.
  if (!version && /^[0-9.x]+$/.test(host)) throw new AppError('INVALID_INPUT', `${field}: is not a server's name`)
  return host
}

/**
 * A password as it goes to the vault, spaces and all; undefined when none was given.
 * @throws AppError INVALID_INPUT, without saying what was given
 */
export function readPassword(given: string | null | undefined, field: string): string | undefined {
  if (given == null) return undefined
  if (given === '' || given.length > 1_000 || /[\0\r\n]/.test(given)) {
    throw new AppError('INVALID_INPUT', `${field}: is empty, too long, or has a line break in it`)
  }
  return given
}
