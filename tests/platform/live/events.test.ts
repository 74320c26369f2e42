import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { type FindIds, RESUME_MS, readEvents } from '#platform/live/events.ts'
import { LATE_MS, lowestIdAt, MAX_TOLD, readPosition, timeOfId, writePosition } from '#platform/live/position.ts'

/** Rows as they can be seen at a time. */
class Table {
  readonly #visible = new Set<string>()

  commit(id: string): void {
    this.#visible.add(id)
  }

  readonly find: FindIds = async (above, { limit, newestFirst }) => {
    const ids = [...this.#visible].filter((id) => id > above).sort()
    return (newestFirst ? ids.reverse() : ids).slice(0, limit)
  }
}

const idAt = (msecs: number) => uuidv7({ msecs })
const START = Date.parse('2026-11-26T12:00:00Z')

async function readAll(table: Table, from: string, now: number) {
  const told: { id: string; position: string }[] = []
  let position = from
  for (;;) {
    const page = await readEvents(table.find, position, now)
    told.push(...page.events)
    position = page.position
    if (!page.hasMore) return { told, position }
  }
}

describe('what has come up since a position', () => {
  test('is nothing of what was there when it began, and all that is committed after', async () => {
    const table = new Table()
    for (let n = 0; n < 150; n += 1) table.commit(idAt(START - n))
    const begun = await readEvents(table.find, null, START)
    expect(begun).toMatchObject({ events: [], hasMore: false, isTooOld: false })
    // Its id is older than many that are there already: its transaction took longer.
    const late = idAt(START - 5)
    table.commit(late)
    const { told } = await readAll(table, begun.position, START + 10)
    expect(told.map(({ id }) => id)).toEqual([late])
  })

  test('is told once each in whatever order it is committed, wherever somebody goes on from', async () => {
    const mail = fc.record({
      madeAt: fc.integer({ min: 0, max: 120_000 }),
      lag: fc.integer({ min: 0, max: LATE_MS - 1 }),
    })
    const looks = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(fc.array(mail, { maxLength: MAX_TOLD }), looks, fc.nat(), async (mails, pauses, cut) => {
        const table = new Table()
        const rows = mails.map(({ madeAt, lag }) => ({ id: idAt(START + madeAt), at: START + madeAt + lag }))
        let now = START
        let { position } = await readEvents(table.find, null, now)
        const told: string[] = []
        const look = async () => {
          for (const { id, at } of rows) if (at <= now) table.commit(id)
          const page = await readAll(table, position, now)
          // A connection that is lost somewhere on the page: the client goes on from the last event it has seen.
          const seen = page.told.slice(0, page.told.length > 0 ? 1 + (cut % page.told.length) : 0)
          told.push(...seen.map(({ id }) => id))
          position = seen.length === page.told.length ? page.position : (seen.at(-1)?.position ?? position)
        }
        for (const pause of pauses) {
          now += pause
          await look()
        }
        now = START + 200_000
        for (let more = 0; more <= mails.length; more += 1) await look()
        expect([...told].sort()).toEqual(rows.map(({ id }) => id).sort())
      }),
    )
  })

  test('comes in pages, each event once', async () => {
    const table = new Table()
    const { position } = await readEvents(table.find, null, START)
    const ids = Array.from({ length: 1_050 }, (_, n) => idAt(START + n))
    for (const id of ids) table.commit(id)
    const first = await readEvents(table.find, position, START + 2_000)
    expect([first.events.length, first.hasMore]).toEqual([100, true])
    const { told } = await readAll(table, position, START + 2_000)
    expect(told.map(({ id }) => id)).toEqual([...ids].sort())
  })

  test('is not told any more from a position that is too old, and the new one is now', async () => {
    const table = new Table()
    table.commit(idAt(START - 1_000))
    const old = writePosition({ floor: lowestIdAt(START - RESUME_MS - 1), told: [] })
    const page = await readEvents(table.find, old, START)
    expect(page).toMatchObject({ events: [], isTooOld: true })
    expect((await readAll(table, page.position, START + 1)).told).toEqual([])
  })
})

describe('a position', () => {
  test('is read as it was written, and never longer than a header may be', () => {
    const told = Array.from({ length: MAX_TOLD }, (_, n) => idAt(START + n))
    const position = { floor: lowestIdAt(START), told }
    expect(readPosition(writePosition(position))).toEqual(position)
    expect(writePosition(position).length).toBeLessThan(4_000)
    expect(timeOfId(position.floor)).toBe(START)
  })

  test.each(['', 'x', '!!', 'AAAA', '../..', 'A'.repeat(5_000), `${writePosition({ floor: idAt(START), told: [] })}=`])(
    'is refused where it is none: %j',
    async (text) => {
      await expect(readEvents(new Table().find, text)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    },
  )
})
