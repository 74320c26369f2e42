import type pg from 'pg'
import { localDay } from '../mailFlow/localDay.ts'
import { addressDay, changeAddressLoads, reserveAddressLoads } from './addressLoads.ts'
import type { SendingMailbox } from './campaignFacts.ts'
import { addressCap } from './caps.ts'

type Address = SendingMailbox['address']

/** Promises of addresses, committed already: taken one by one, then settled by those that were used. */
export type AddressPromises = {
  /** Whether there is one left for a mail by this address; a mailbox without one needs none. */
  take(address: Address): boolean
  /** Gives back all that was promised but for what these used. */
  settle(used: readonly Address[]): Promise<void>
}

/** Promises of the day at `at` for so many mails, one entry of `addresses` each; fewer where there is no room for all. */
export async function promiseAddresses(
  systemSql: pg.Pool,
  addresses: readonly Address[],
  at: Date,
): Promise<AddressPromises> {
  const day = localDay(at, 'UTC')
  const wishes = new Map<string, { addressId: string; day: string; wanted: number; cap: number }>()
  for (const address of addresses) {
    if (!address) continue
    const known = wishes.get(address.id)
    if (known) known.wanted += 1
    else wishes.set(address.id, { addressId: address.id, day, wanted: 1, cap: addressCap(address, at) })
  }
  const grants = await reserveAddressLoads(systemSql, [...wishes.values()])
  const granted = new Map([...wishes.keys()].map((id) => [id, grants.get(addressDay({ addressId: id, day })) ?? 0]))
  const left = new Map(granted)
  return {
    take(address) {
      if (!address) return true
      const room = left.get(address.id) ?? 0
      left.set(address.id, room - 1)
      return room > 0
    },
    async settle(used) {
      const unused = new Map(granted)
      for (const address of used) if (address) unused.set(address.id, (unused.get(address.id) ?? 0) - 1)
      const changes = [...unused].map(([addressId, mails]) => ({ addressId, day, reserved: -mails, sent: 0 }))
      await changeAddressLoads(systemSql, changes)
    },
  }
}
