import { lookup, Resolver } from 'node:dns/promises'
import { isIP, isIPv4 } from 'node:net'
import { isInsideAddress } from '#platform/insideAddresses.ts'

const TIMEOUT_MS = 3_000
const TRIES = 2

/** Where a mailbox's server is: what is connected to is this address, whatever its name says a moment later. */
export type ServerPlace = {
  address: string
  /** Whose certificate it has to show; undefined when it was given by its address. */
  servername: string | undefined
  /** Whether it is on this machine or in our own networks. Passwords go to any other server encrypted or not at all. */
  isInside: boolean
}

/** A server that nobody's mailbox may have. Waiting won't help. */
export class ServerForbidden extends Error {}

/**
 * Finds a server by its name or address.
 * @throws ServerForbidden; Error when its name is not known
 */
export type FindServer = (host: string) => Promise<ServerPlace>

/** @param options `allowsInside`: whether it may be inside; `dnsServers`: whom to ask, none means the machine itself */
export function makeFindServer(options: { allowsInside: boolean; dnsServers?: readonly string[] }): FindServer {
  const { allowsInside, dnsServers = [] } = options
  return async (host) => {
    const addresses = isIP(host) ? [host] : await findAddresses(host, dnsServers)
    // One that is in two worlds at once is not to be trusted with either.
    const isInside = addresses.some(isInsideAddress)
    if (isInside && !allowsInside) throw new ServerForbidden(`${host} is not a public server`)
    const usual = addresses.filter((address) => isIPv4(address))
    const among = usual.length > 0 ? usual : addresses
    const address = among[Math.floor(Math.random() * among.length)]
    if (!address) throw new Error(`${host} has no address`)
    return { address, servername: isIP(host) ? undefined : host, isInside }
  }
}

async function findAddresses(host: string, dnsServers: readonly string[]): Promise<string[]> {
  if (dnsServers.length === 0) return (await lookup(host, { all: true })).map(({ address }) => address)
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  resolver.setServers(dnsServers)
  const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
  const addresses = found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  if (addresses.length === 0) throw (found[0] as PromiseRejectedResult).reason
  return addresses
}
