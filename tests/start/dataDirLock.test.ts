import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { lockDataDir } from '#platform/local/dataDirLock.ts'
import { findProcess } from '#platform/local/processes.ts'

let dataDir: string
let lockFile: string
const children: ChildProcess[] = []

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-lock-'))
  lockFile = path.join(dataDir, 'start.lock')
})

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

function startBystander(): { pid: number; startedAt: string } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  children.push(child)
  const found = findProcess(child.pid ?? 0)
  if (!found) throw new Error('sleep did not start')
  return found
}

test('while one start holds the data folder, another is refused with its process number', async () => {
  const lock = await lockDataDir(dataDir)
  await expect(lockDataDir(dataDir)).rejects.toThrow(`already running on ${dataDir} (process ${process.pid})`)
  lock.release()
  expect(existsSync(lockFile)).toBe(false)
  ;(await lockDataDir(dataDir)).release()
})

test('a lock whose holder is gone is taken over, and what its holder had started is ended', async () => {
  const leftover = startBystander()
  const holder = { pid: 4_000_000, startedAt: '1' }
  writeFileSync(lockFile, JSON.stringify({ ...holder, processes: [{ name: 'oltp', ...leftover }] }))
  const lock = await lockDataDir(dataDir)
  expect(findProcess(leftover.pid)).toBeNull()
  lock.release()
})

test('a later process of the same number as the holder or a leftover is nobody we know', async () => {
  const bystander = startBystander()
  const earlier = { pid: bystander.pid, startedAt: 'long ago' }
  writeFileSync(lockFile, JSON.stringify({ ...earlier, processes: [{ name: 'oltp', ...earlier }] }))
  const lock = await lockDataDir(dataDir)
  expect(findProcess(bystander.pid)).not.toBeNull()
  lock.release()
})

test('of many starts at once on a stale lock exactly one wins', async () => {
  writeFileSync(lockFile, JSON.stringify({ pid: 4_000_000, startedAt: '1', processes: [] }))
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDir(dataDir)))
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})
