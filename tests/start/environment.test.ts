import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { parseConfig } from '#platform/config.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { inheritedEnvironment, localEnvironment } from '#platform/local/environment.ts'
import { loadSecrets } from '#platform/local/secrets.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import { gatewayConfig } from '../../gateway/config.ts'

let dataDir: string
const { ports } = readLocalSettings({})

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-environment-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

test('secrets are made once, differ from each other and are readable by us alone', () => {
  const secrets = loadSecrets(dataDir)
  expect(loadSecrets(dataDir)).toEqual(secrets)
  expect(statSync(path.join(dataDir, 'secrets.json')).mode & 0o777).toBe(0o600)
  const { postgres, databases, callerKeys, contentMasterKey } = secrets
  const all = [
    postgres,
    contentMasterKey,
    ...Object.values(callerKeys),
    ...Object.values(databases).flatMap((roles) => Object.values(roles)),
  ]
  expect(new Set(all).size).toBe(all.length)
})

test('a secret that an older secrets.json lacks is added, the others stay', () => {
  const before = loadSecrets(dataDir)
  const { CALLER_KEY_CLI_OLTP: _dropped, ...callerKeys } = before.callerKeys
  writeFileSync(path.join(dataDir, 'secrets.json'), JSON.stringify({ ...before, callerKeys }))
  const after = loadSecrets(dataDir)
  expect(after).toEqual({ ...before, callerKeys: { ...before.callerKeys, CALLER_KEY_CLI_OLTP: expect.any(String) } })
  expect(loadSecrets(dataDir)).toEqual(after)
})

test('every edge has its key at both ends and nowhere else', () => {
  const settings = localEnvironment(dataDir, ports)
  const holders = (name: string) =>
    Object.entries(settings)
      .filter(([, own]) => name in own)
      .map(([process]) => process)
      .sort()
  expect(holders('CALLER_KEY_GATEWAY_OLTP')).toEqual(['gateway', 'oltp'])
  expect(holders('CALLER_KEY_OLTP_CONTENT')).toEqual(['content', 'oltp', 'smtpDoor'])
  expect(holders('CALLER_KEY_WORKER_ANALYTICS')).toEqual(['analytics', 'worker'])
  expect(holders('CALLER_KEY_CLI_QUEUE')).toEqual(['cli', 'queue'])
})

test('only content has the master key, only the migrator the owners, and no tier another tier’s database', () => {
  const settings = localEnvironment(dataDir, ports)
  const holders = (pattern: RegExp) =>
    Object.entries(settings)
      .filter(([, own]) => Object.keys(own).some((name) => pattern.test(name)))
      .map(([process]) => process)
      .sort()
  expect(holders(/^CONTENT_MASTER_KEY$/)).toEqual(['content'])
  expect(holders(/^TRACKING_KEY$/)).toEqual(['gateway', 'oltp'])
  expect(holders(/_OWNER_DATABASE_URL$/)).toEqual(['migrate'])
  expect(holders(/^OLTP_(SYSTEM_)?DATABASE_URL$/)).toEqual(['oltp', 'smtpDoor'])
  expect(holders(/^QUEUE_(SYSTEM_)?DATABASE_URL$/)).toEqual(['queue', 'worker'])
})

test('a key of Apollo Studio is the gateway’s alone', () => {
  const holders = Object.entries(localEnvironment(dataDir, ports, { APOLLO_KEY: 'key' }))
  expect(holders.filter(([, own]) => own.APOLLO_KEY).map(([process]) => process)).toEqual(['gateway'])
})

test('what a process inherits has none of our secrets', () => {
  const inherited = inheritedEnvironment({
    PATH: '/bin',
    LOG_LEVEL: 'debug',
    OLTP_OWNER_DATABASE_URL: 'postgresql://x',
    CALLER_KEY_OLTP_QUEUE: 'key',
    CONTENT_MASTER_KEY: 'key',
    TRACKING_KEY: 'key',
    TRACKING_PREVIOUS_KEYS: 'key',
    APOLLO_KEY: 'key',
  })
  expect(inherited).toEqual({ PATH: '/bin', LOG_LEVEL: 'debug' })
})

test('a database of the user’s own is used, but needs all three of its connections', () => {
  const own = {
    OLTP_DATABASE_URL: 'postgresql://oltp_app@db/oltp',
    OLTP_SYSTEM_DATABASE_URL: 'postgresql://oltp_system@db/oltp',
    OLTP_OWNER_DATABASE_URL: 'postgresql://oltp_owner@db/oltp',
  }
  const settings = localEnvironment(dataDir, ports, own)
  expect(settings.oltp.OLTP_DATABASE_URL).toBe(own.OLTP_DATABASE_URL)
  expect(settings.migrate.OLTP_OWNER_DATABASE_URL).toBe(own.OLTP_OWNER_DATABASE_URL)
  expect(settings.content.CONTENT_DATABASE_URL).toMatch(/@127\.0\.0\.1:4032\/content$/)
  expect(() => localEnvironment(dataDir, ports, { OLTP_DATABASE_URL: own.OLTP_DATABASE_URL })).toThrow(
    /^OLTP_DATABASE_URL set without OLTP_SYSTEM_DATABASE_URL and OLTP_OWNER_DATABASE_URL/,
  )
})

test('the gateway accepts its settings as they are made', async () => {
  const { jwksFile } = await loadDevKey(dataDir)
  const config = parseConfig(gatewayConfig, localEnvironment(dataDir, ports).gateway)
  expect(config.tokens.jwksFile).toBe(jwksFile)
  expect(config.tiers.queue.url).toBe('http://127.0.0.1:4004/graphql')
  expect(config.port).toBe(4000)
})

test('the public key set holds no private key', async () => {
  const { privateKey, jwksFile } = await loadDevKey(dataDir)
  const { keys } = JSON.parse(readFileSync(jwksFile, 'utf8'))
  expect(keys).toEqual([expect.objectContaining({ kid: privateKey.kid, x: privateKey.x, y: privateKey.y })])
  expect(keys[0]).not.toHaveProperty('d')
  expect(await loadDevKey(dataDir)).toEqual({ privateKey, jwksFile })
})

test('a port that is no number is named', () => {
  expect(() => readLocalSettings({ OLTP_PORT: 'abc', REDIS_PORT: '70000' })).toThrow(/OLTP_PORT: .*\n.*REDIS_PORT: /s)
})
