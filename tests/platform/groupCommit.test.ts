import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { GroupCommit } from '#platform/groupCommit.ts'

let groups: { key: string; items: number[] }[]
let underWay: number
let together: number

/** Doubles numbers; negative ones fail the group they are in. */
const makeDoubler = (maxItems = 10) =>
  new GroupCommit<number, number>({
    maxItems,
    async run(key, items) {
      groups.push({ key, items })
      together = Math.max(together, ++underWay)
      await sleep(5)
      underWay--
      if (items.some((item) => item < 0)) throw new Error(`refused ${items}`)
      return items.map((item) => item * 2)
    },
  })

beforeEach(() => {
  groups = []
  underWay = 0
  together = 0
})

describe('calls that come at the same time run as one', () => {
  test('a call that comes alone is a group of its own', async () => {
    const doubler = makeDoubler()
    expect(await doubler.submit('a', 1)).toBe(2)
    expect(await doubler.submit('a', 2)).toBe(4)
    expect(groups).toEqual([
      { key: 'a', items: [1] },
      { key: 'a', items: [2] },
    ])
  })

  test('calls made while a group is under way are the next group, each with its own result', async () => {
    const doubler = makeDoubler()
    const first = doubler.submit('a', 1)
    while (groups.length === 0) await nextTurn()
    const later = [2, 3, 4].map((item) => doubler.submit('a', item))
    expect(await Promise.all([first, ...later])).toEqual([2, 4, 6, 8])
    expect(groups.map(({ items }) => items)).toEqual([[1], [2, 3, 4]])
    expect(together).toBe(1)
  })

  test('a group never has more than its most items', async () => {
    const doubler = makeDoubler(4)
    await Promise.all(Array.from({ length: 10 }, (_, item) => doubler.submit('a', item)))
    expect(groups.map(({ items }) => items.length)).toEqual([4, 4, 2])
  })

  test('keys never share a group and do not wait for each other', async () => {
    const doubler = makeDoubler()
    await Promise.all(['a', 'b', 'a', 'b'].map((key, item) => doubler.submit(key, item)))
    expect(groups).toEqual([
      { key: 'a', items: [0, 2] },
      { key: 'b', items: [1, 3] },
    ])
    expect(together).toBe(2)
  })

  test('one item that fails fails alone', async () => {
    const doubler = makeDoubler()
    const results = await Promise.allSettled([1, -2, 3].map((item) => doubler.submit('a', item)))
    expect(results).toEqual([
      { status: 'fulfilled', value: 2 },
      { status: 'rejected', reason: new Error('refused -2') },
      { status: 'fulfilled', value: 6 },
    ])
    expect(await doubler.submit('a', 4)).toBe(8)
  })

  test('an error that is everybody’s fails the group at once: it is not run again item by item', async () => {
    let runs = 0
    const away = new GroupCommit<number, number>({
      maxItems: 10,
      isEverybodys: (error) => error === 'away',
      async run() {
        runs++
        throw 'away'
      },
    })
    const results = await Promise.allSettled([1, 2, 3].map((item) => away.submit('a', item)))
    expect(results).toEqual(Array(3).fill({ status: 'rejected', reason: 'away' }))
    expect(runs).toBe(1)
  })
})
