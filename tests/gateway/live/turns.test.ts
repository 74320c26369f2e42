import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { Turns } from '../../../gateway/live/turns.ts'

test('of one key so much runs at a time, in the order in which it came; others are not held up', async () => {
  const turns = new Turns(2)
  const begun: number[] = []
  const ends: (() => void)[] = []
  const work = (n: number) => () => {
    begun.push(n)
    return new Promise<number>((resolve) => ends.push(() => resolve(n)))
  }
  const results = [1, 2, 3, 4].map((n) => turns.run('demo', work(n)))
  await nextTurn()
  expect(begun).toEqual([1, 2])
  const rival = turns.run('rival', work(9))
  ends[1]?.()
  await nextTurn()
  expect(begun).toEqual([1, 2, 9, 3])
  for (let at = 0; at < 6; at += 1) {
    for (const end of ends) end()
    await nextTurn()
  }
  expect(await Promise.all([...results, rival])).toEqual([1, 2, 3, 4, 9])
})

test('what fails makes room as well', async () => {
  const turns = new Turns(1)
  const failing = turns.run('demo', () => Promise.reject(new Error('no')))
  const next = turns.run('demo', async () => 'yes')
  await expect(failing).rejects.toThrow('no')
  expect(await next).toBe('yes')
})
