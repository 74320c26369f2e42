import { BlockList, isIP } from 'node:net'

/** Addresses of our own machines and networks, and of what clouds tell their machines about themselves. */
const INSIDE = new BlockList()
for (const [net, prefix] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['168.63.129.16', 32],
    ['169.254.0.0', 16],
  ] as const),
  ...([
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['224.0.0.0', 3],
  ] as const),
] as const) {
  INSIDE.addSubnet(net, prefix, 'ipv4')
}
for (const [net, prefix] of [
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const) {
  INSIDE.addSubnet(net, prefix, 'ipv6')
}

/** Whether an IP address, of either version, is one that no tenant's server has. */
export function isInsideAddress(address: string): boolean {
  return INSIDE.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}
