import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from '@jest/globals'
import { endWithUs } from '#platform/local/guard.ts'
import { eventually } from '../support/eventually.ts'

const guardsOf = ({ pid }: ChildProcess) =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((args) => args.startsWith('/bin/sh -c read -r _') && args.endsWith(` ${pid}`))

test('a guard is gone once its process has ended: the number may be given to another', async () => {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  endWithUs(child, 'TERM')
  await eventually(
    async () => guardsOf(child),
    (guards) => guards.length === 1,
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  await eventually(
    async () => guardsOf(child),
    (guards) => guards.length === 0,
  )
  expect(guardsOf(child)).toEqual([])
})
