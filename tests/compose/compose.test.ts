import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { validate } from 'dockerfile-utils'
import { parse } from 'yaml'

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

describe('docker-compose.yml', () => {
  test('follows the compose schema and the linter finds nothing', () => {
    const run = () =>
      execFileSync('node_modules/.bin/dclint', ['-c', '.dclintrc.json', '--max-warnings', '0', 'docker-compose.yml'], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
    expect(run).not.toThrow()
  })

  test('has one Postgres per tier, Redis, four subgraphs, worker and gateway', () => {
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
      'worker',
    ])
  })

  test('gives every long-running service a health check', () => {
    const without = services.filter(([name, service]) => name !== 'migrate' && !service.healthcheck)
    expect(without.map(([name]) => name)).toEqual([])
  })

  test('runs nothing of ours as root', () => {
    const ours = services.filter(([, service]) => service.image === 'penguinmails:local')
    expect(ours.length).toBe(7)
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

  test('publishes only the gateway, on loopback', () => {
    const published = services.flatMap(([, service]) => service.ports ?? [])
    expect(published).toEqual(['127.0.0.1:4000:4000'])
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
