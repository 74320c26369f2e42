import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { validate } from 'dockerfile-utils'
import { parse } from 'yaml'
import { parseConfig } from '#platform/config.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { gatewayConfig } from '../../gateway/config.ts'
import { analyticsConfig } from '../../subgraphs/analytics/config.ts'
import { contentConfig } from '../../subgraphs/content/config.ts'
import { oltpConfig } from '../../subgraphs/oltp/config.ts'
import { smtpDoorConfig } from '../../subgraphs/oltp/smtpDoor/config.ts'
import { queueConfig, workerConfig } from '../../subgraphs/queue/config.ts'

type Service = {
  image?: string
  user?: string
  environment?: Record<string, string>
  healthcheck?: unknown
  ports?: string[]
}
const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>
}
const services = Object.entries(compose.services)

/** What each process of ours reads at its start. */
const configs = {
  oltp: oltpConfig,
  content: contentConfig,
  analytics: analyticsConfig,
  queue: queueConfig,
  worker: workerConfig,
  'smtp-door': smtpDoorConfig,
  gateway: gatewayConfig,
}

const keys = mkdtempSync(path.join(tmpdir(), 'penguinmails-keys-'))
beforeAll(() => loadDevKey(keys))
afterAll(() => rmSync(keys, { recursive: true }))

/** A setting as compose gives it, with something fitting in place of what comes from .env. */
function fill(name: string, value: string): string {
  if (name === 'JWKS_FILE') return path.join(keys, 'jwks.json')
  return value.replace(/\$\{\w+:\?.*?\}/g, /_KEY/.test(name) ? randomBytes(32).toString('base64') : 'secret')
}

describe('docker-compose.yml', () => {
  test('follows the compose schema and the linter finds nothing', () => {
    const run = () =>
      execFileSync('node_modules/.bin/dclint', ['-c', '.dclintrc.json', '--max-warnings', '0', 'docker-compose.yml'], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
    expect(run).not.toThrow()
  })

  test('has one Postgres per tier, Redis, four subgraphs, worker, gateway and the door for mail, and no sandbox', () => {
    expect(Object.keys(compose.services).sort()).toEqual([
      'analytics',
      'content',
      'gateway',
      'migrate',
      'oltp',
      'postgres-analytics',
      'postgres-content',
      'postgres-oltp',
      'postgres-queue',
      'queue',
      'redis',
      'smtp-door',
      'worker',
    ])
  })

  test('gives every long-running service a health check', () => {
    const without = services.filter(([name, service]) => name !== 'migrate' && !service.healthcheck)
    expect(without.map(([name]) => name)).toEqual([])
  })

  test('runs nothing of ours as root', () => {
    const ours = services.filter(([, service]) => service.image === 'penguinmails:local')
    expect(ours.length).toBe(8)
    expect(ours.filter(([, service]) => service.user !== 'node').map(([name]) => name)).toEqual([])
  })

  test('holds no secret: every password and key comes from the environment', () => {
    const literal = services.flatMap(([name, service]) =>
      Object.entries(service.environment ?? {})
        .filter(([key, value]) => /PASSWORD|_KEY|DATABASE_URL/.test(key) && !/\$\{\w+:\?/.test(value))
        .map(([key]) => `${name}.${key}`),
    )
    expect(literal).toEqual([])
  })

  test.each(Object.entries(configs))('gives %s every setting it wants', async (name, config) => {
    const environment = Object.entries(compose.services[name]?.environment ?? {})
    const filled = environment.map(([key, value]) => [key, fill(key, value)])
    expect(() => parseConfig(config, Object.fromEntries(filled))).not.toThrow()
  })

  test('publishes only the gateway and the door for mail, on loopback', () => {
    const published = services.flatMap(([, service]) => service.ports ?? [])
    expect(published.sort()).toEqual(['127.0.0.1:4000:4000', '127.0.0.1:4025:4025'])
  })
})

describe('Dockerfile', () => {
  const dockerfile = readFileSync('Dockerfile', 'utf8')

  test('is understood by the linter without a finding', () => {
    expect(validate(dockerfile)).toEqual([])
  })

  test('ends as an unprivileged user', () => {
    expect(dockerfile.match(/^USER .+$/gm)?.at(-1)).toBe('USER node')
  })
})
