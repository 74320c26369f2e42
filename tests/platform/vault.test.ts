import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { openVault } from '#platform/vault.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-vault-'))
const vault = openVault(`file:${folder}`)
afterAll(() => rmSync(folder, { recursive: true }))

test('a secret is read where it was put, replaced as a whole, and forgotten', async () => {
  await expect(vault.read('mailboxes/a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await vault.put('mailboxes/a', 'pässword')
  expect(await vault.read('mailboxes/a')).toBe('pässword')
  await Promise.all(Array.from({ length: 20 }, (_, n) => vault.put('mailboxes/a', `new ${n}`)))
  expect(await vault.read('mailboxes/a')).toMatch(/^new \d+$/)
  expect(readdirSync(path.join(folder, 'mailboxes'))).toEqual(['a'])
  await vault.remove('mailboxes/a')
  await vault.remove('mailboxes/a')
  await expect(vault.read('mailboxes/a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('nobody else on the machine can read what was put', async () => {
  await vault.put('mailboxes/b', 'secret')
  expect(statSync(path.join(folder, 'mailboxes', 'b')).mode & 0o777).toBe(0o600)
  expect(statSync(path.join(folder, 'mailboxes')).mode & 0o077).toBe(0)
})

test('secrets handed over by the environment are read and never written', async () => {
  const handed = openVault('env:SECRET_', { SECRET_MAILBOXES_SALES_1: 'handed' })
  expect(await handed.read('mailboxes/sales.1')).toBe('handed')
  await expect(handed.read('mailboxes/other')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(handed.put('mailboxes/other', 'x')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await expect(handed.remove('mailboxes/other')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('a name leads nowhere else', async () => {
  const names = ['', '/etc/passwd', '../up', 'a/../../up', 'a//b', 'a/.hidden', 'a\0b', 'a/b c', 'a/']
  for (const name of names) {
    await expect(vault.read(name)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(vault.put(name, 'x')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(vault.remove(name)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

test('what is empty or too long is no secret; a vault that cannot be written says so, and not what it was given', async () => {
  await expect(vault.put('c', '')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(vault.put('c', 'x'.repeat(70_000))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await vault.put('file', 'x')
  const failed = await vault.put('file/below', 'secret word').catch((error: Error) => error)
  expect(failed).toMatchObject({ code: 'UNAVAILABLE' })
  expect(String(failed)).not.toContain('secret word')
})
