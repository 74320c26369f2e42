import type pg from 'pg'

/** Mails of one address (of all tenants) and one day of UTC. */
export type AddressDay = { addressId: string; day: string }

/** Mails that are wanted of it, and how many it carries that day altogether. */
export type AddressWish = AddressDay & { wanted: number; cap: number }

const ASKED = 'unnest($1::uuid[], $2::date[]) AS asked (address_id, day)'

const FIND = `
  SELECT l.smtp_ip_address_id AS "addressId", l.day::text, l.reserved, l.sent
  FROM ${ASKED} JOIN smtp_ip_loads l ON (l.smtp_ip_address_id, l.day) = (asked.address_id, asked.day)`

const ENSURE = `
  INSERT INTO smtp_ip_loads (smtp_ip_address_id, day) SELECT DISTINCT address_id, day FROM ${ASKED}
  ORDER BY 1, 2 ON CONFLICT DO NOTHING`

// The lock sees what another committed while we waited for it; the update follows to that version of the row.
const RESERVE = `
  WITH granted AS (
    SELECT l.smtp_ip_address_id, l.day, least(w.wanted, greatest(0, w.cap - l.reserved)) AS mails
    FROM smtp_ip_loads l
    JOIN unnest($1::uuid[], $2::date[], $3::int[], $4::int[]) AS w (address_id, day, wanted, cap)
      ON (l.smtp_ip_address_id, l.day) = (w.address_id, w.day)
    ORDER BY l.smtp_ip_address_id, l.day FOR UPDATE OF l
  )
  UPDATE smtp_ip_loads l SET reserved = l.reserved + g.mails FROM granted g
  WHERE (l.smtp_ip_address_id, l.day) = (g.smtp_ip_address_id, g.day)
  RETURNING l.smtp_ip_address_id AS "addressId", l.day::text, g.mails`

const CHANGE = `
  WITH changed AS (
    SELECT l.smtp_ip_address_id, l.day, c.reserved, c.sent FROM smtp_ip_loads l
    JOIN unnest($1::uuid[], $2::date[], $3::int[], $4::int[]) AS c (address_id, day, reserved, sent)
      ON (l.smtp_ip_address_id, l.day) = (c.address_id, c.day)
    ORDER BY l.smtp_ip_address_id, l.day FOR UPDATE OF l
  )
  UPDATE smtp_ip_loads l SET reserved = greatest(0, l.reserved + c.reserved), sent = greatest(0, l.sent + c.sent)
  FROM changed c WHERE (l.smtp_ip_address_id, l.day) = (c.smtp_ip_address_id, c.day)`

/** What was promised for addresses; by `addressDay`. Tenants share them, so this is the system's to ask. */
export async function findAddressLoads(systemSql: pg.Pool, asked: readonly AddressDay[]): Promise<Map<string, number>> {
  if (asked.length === 0) return new Map()
  const { rows } = await systemSql.query<AddressDay & { reserved: number }>(FIND, columns(asked))
  return new Map(rows.map((row) => [addressDay(row), row.reserved]))
}

/**
 * Promises as many of the wanted mails as there is room for; answers how many, by `addressDay`. Committed at once: what
 * is not used is to be given back with `changeAddressLoads`, and what a crash keeps from it is lost for that day.
 */
export async function reserveAddressLoads(
  systemSql: pg.Pool,
  wishes: readonly AddressWish[],
): Promise<Map<string, number>> {
  if (wishes.length === 0) return new Map()
  await systemSql.query(ENSURE, columns(wishes))
  const { rows } = await systemSql.query<AddressDay & { mails: number }>(RESERVE, [
    ...columns(wishes),
    wishes.map(({ wanted }) => wanted),
    wishes.map(({ cap }) => Math.min(cap, 2_147_483_647)),
  ])
  return new Map(rows.map((row) => [addressDay(row), row.mails]))
}

/** Counts mails that left, and gives back promises. */
export async function changeAddressLoads(
  systemSql: pg.Pool,
  changes: readonly (AddressDay & { reserved: number; sent: number })[],
): Promise<void> {
  const sums = new Map<string, AddressDay & { reserved: number; sent: number }>()
  for (const change of changes) {
    const { reserved, sent } = sums.get(addressDay(change)) ?? { reserved: 0, sent: 0 }
    sums.set(addressDay(change), { ...change, reserved: reserved + change.reserved, sent: sent + change.sent })
  }
  const real = [...sums.values()].filter(({ reserved, sent }) => reserved !== 0 || sent !== 0)
  if (real.length === 0) return
  const values = [...columns(real), real.map(({ reserved }) => reserved), real.map(({ sent }) => sent)]
  await systemSql.query(CHANGE, values)
}

export function addressDay({ addressId, day }: AddressDay): string {
  return `${addressId} ${day}`
}

function columns(asked: readonly AddressDay[]): unknown[] {
  return [asked.map(({ addressId }) => addressId), asked.map(({ day }) => day)]
}
