import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant } from '../support/tenants.ts'

const MEMBER = { id: '01930000-0000-7000-8000-0000000000aa', email: 'max@demo.example', roles: ['VIEWER'] }
const VIEWER = '{ viewer { tenant { id } user { id } roles } }'

let platform: TestPlatform
beforeAll(async () => {
  platform = await startPlatform({ tiers: ['oltp'] })
  const oltp = platform.tierClient('oltp')
  await foundTenant(oltp, 'demo')
  await foundTenant(oltp, 'rival')
  const input = { tenant: { id: DEMO_TENANTS.demo, name: 'demo', slug: 'demo' }, users: [MEMBER] }
  await oltp.request('mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }', {
    input,
  })
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

/** Runs the command as a user does, beside the running platform. */
async function token(...args: string[]) {
  const root = path.resolve(import.meta.dirname, '../..')
  const { DATA_DIR } = platform.settings.cli
  const env = { PATH: process.env.PATH, DATA_DIR, OLTP_PORT: platform.settings.oltp.OLTP_PORT }
  const run = promisify(execFile)(process.execPath, ['--import', 'tsx', 'cli/token.ts', ...args], { cwd: root, env })
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

const viewerOf = async (...args: string[]) => {
  const { stdout } = await token(...args)
  const { data } = await platform.ask(VIEWER, {}, { token: stdout.trim() })
  return data?.viewer
}

test('prints one token and nothing else, by default for the demo tenant’s owner', async () => {
  const { stdout, stderr } = await token()
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  expect(stderr).toBe('')
  const { data } = await platform.ask(VIEWER, {}, { token: stdout.trim() })
  expect(data.viewer).toEqual({ tenant: { id: DEMO.tenantId }, user: { id: DEMO.userId }, roles: ['OWNER'] })
})

test('speaks for the tenant, role and user it is told', async () => {
  expect(await viewerOf('--tenant', 'rival', '--role', 'viewer')).toMatchObject({
    tenant: { id: RIVAL.tenantId },
    roles: ['VIEWER'],
  })
  expect(await viewerOf('--tenant', DEMO_TENANTS.demo, '--user', 'MAX@demo.example')).toMatchObject({
    user: { id: MEMBER.id },
  })
})

test('makes staff’s tokens, which name no tenant', async () => {
  const { stdout } = await token('--staff', 'operator')
  const { data, errors } = await platform.ask('{ vpsInstances { nodes { id } } }', {}, { token: stdout.trim() })
  expect({ data, errors }).toEqual({ data: { vpsInstances: { nodes: [] } } })
})

test('makes a caller header for one subgraph', async () => {
  const ask = async (query: string, ...args: string[]) => {
    const [name = '', value = ''] = (await token('--subgraph', 'oltp', ...args)).stdout.trim().split(': ')
    return platform.askTier('oltp', query, { [name]: value })
  }
  expect((await ask(VIEWER)).data.viewer.tenant.id).toBe(DEMO.tenantId)
  expect((await ask('{ _service { sdl } }', '--service')).data._service.sdl).toContain('type Campaign')
  expect((await ask('{ outboxFrontier }', '--service')).errors).toBeUndefined()
  expect((await ask('{ outboxFrontier }')).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
})

test.each([
  [['--role', 'king'], '--role is one of'],
  [['--tenant', 'nobody'], '--tenant is demo, rival or a UUID'],
  [['--user', 'nobody@demo.example'], 'the tenant has no member nobody@demo.example'],
  [['--user', 'max@demo.example', '--tenant', 'rival'], 'the tenant has no member max@demo.example'],
  [['--ttl', 'soon'], '--ttl looks like'],
  [['--staff', 'support', '--tenant', 'demo'], '--staff names no tenant'],
  [['--service'], '--service needs --subgraph'],
  [['--subgraph', 'fifth'], '--subgraph is one of'],
  [['--wrong'], 'Unknown option'],
])('%j is refused in one readable line, and no token printed', async (args, message) => {
  const { code, stdout, stderr } = await token(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr).not.toContain('    at ')
})
