import { createPrivateKey, createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { openVault } from '#platform/vault.ts'
import { type DnsServer, startDnsServer } from '../../support/dnsServer.ts'
import { auditedActs, makeAsk } from './asking.ts'
import { foundLaunchable } from './launchable.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

const ENTERPRISE = '01930000-0000-7000-8000-000000000103'

let tier: OltpTier
let dns: DnsServer
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  dns = await startDnsServer()
  tier = await startOltpTier({ dnsServers: dns.address })
  demo = await foundLaunchable(tier)
  rival = await foundLaunchable(tier)
  await setPlan(demo, ENTERPRISE)
})
afterAll(async () => {
  await tier?.stop()
  await dns?.stop()
})

const ask = makeAsk(
  () => tier,
  () => demo,
  'manager',
)
const FIELDS = 'domain { id domain company { id } verificationStatus verifiedAt isPrimary dnsRecords dkimSelector }'
const mutation = (name: string, selection = FIELDS) => {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input`
  const text = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`
  return (input: object, workspace?: Workspace, role?: string) => ask(text, { input }, workspace, role)
}
const create = mutation('createDomain')
const update = mutation('updateDomain')
const verify = mutation('verifyDomain')
const drop = mutation('deleteDomain', 'id')

async function setPlan({ tenantId }: Workspace, planId: string) {
  await tier.db.system.subscription.updateMany({ where: { tenantId }, data: { planId } })
}

type Records = Record<string, { name: string; type: 'TXT' | 'MX'; value: string }>

/** Puts a domain's records into DNS as they should be, but for those changed. */
function publish(records: Records, changes: Record<string, string[]> = {}) {
  for (const purpose of ['ownership', 'spf', 'dkim', 'dmarc', 'mx']) {
    const { name, type, value } = records[purpose] as Records[string]
    dns.zone[name] = { ...dns.zone[name], [type]: changes[purpose] ?? [value] }
  }
}

/** A domain of demo's, all of whose records are in DNS. */
async function foundDomain(name: string) {
  const { value } = await create({ companyId: demo.companyId, domain: name })
  publish(value.domain.dnsRecords)
  return value.domain
}

const verifiedOf = (records: Record<string, { verified: boolean | null }>) =>
  ['ownership', 'spf', 'dkim', 'dmarc', 'mx'].map((purpose) => records[purpose]?.verified)

test('a domain is created with what its DNS should say, and its key is in the vault and nowhere else', async () => {
  const { value } = await create({ companyId: demo.companyId, domain: 'Shop.Example.', isPrimary: true })
  const { id, dnsRecords: records, ...domain } = value.domain
  expect(domain).toEqual({
    domain: 'shop.example',
    company: { id: demo.companyId },
    verificationStatus: 'PENDING',
    verifiedAt: null,
    isPrimary: true,
    dkimSelector: 'pm1',
  })
  expect(records.ownership).toMatchObject({ type: 'TXT', name: '_penguinmails.shop.example', required: true })
  expect(records.ownership.value).toMatch(/^penguinmails-verification=[0-9a-f]{40}$/)
  expect(records.spf).toMatchObject({ name: 'shop.example', value: 'v=spf1 include:_spf.penguinmails.example ~all' })
  expect(records.dkim).toMatchObject({ name: 'pm1._domainkey.shop.example', verified: null, seen: [] })
  expect(records.mx.value).toBe('10 mx.penguinmails.example')
  const row = await tier.db.system.domain.findFirstOrThrow({ where: { id } })
  const pem = await openVault(`file:${tier.vaultFolder}`).read(row.dkimVaultKeyPath ?? '')
  const publicKey = createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'der' })
  expect(records.dkim.value).toBe(`v=DKIM1; k=rsa; p=${publicKey.toString('base64')}`)
  expect(JSON.stringify([row, await tier.announced(demo.tenantId)])).not.toContain('PRIVATE KEY')
  const others = await tier.db.system.domain.findMany({ where: { tenantId: demo.tenantId, isPrimary: true } })
  expect(others.map((other) => other.id)).toEqual([id])
})

test('it is verified once ownership, SPF and DKIM are right; what else is wrong is shown', async () => {
  const { id } = await foundDomain('good.example')
  const { dnsRecords } = (await verify({ domainId: id })).value.domain
  expect(verifiedOf(dnsRecords)).toEqual([true, true, true, true, true])
  dns.zone['_dmarc.good.example'] = { TXT: ['v=DMARC2'] }
  dns.zone['good.example'] = { TXT: ['other', dnsRecords.spf.value], MX: ['5 mail.elsewhere.example'] }
  const { value } = await verify({ domainId: id })
  expect(value.domain).toMatchObject({ verificationStatus: 'VERIFIED', verifiedAt: expect.any(String) })
  expect(verifiedOf(value.domain.dnsRecords)).toEqual([true, true, true, false, false])
  expect(value.domain.dnsRecords.mx.seen).toEqual(['5 mail.elsewhere.example'])
  expect(value.domain.dnsRecords.checkedAt).toEqual(expect.any(String))
  const acts = (await auditedActs(tier, demo, 'Domain')).filter(({ resourceId }) => resourceId === id)
  expect(acts.at(-1)).toMatchObject({
    action: 'domain.verify',
    newValues: { verificationStatus: 'verified', wrong: ['dmarc', 'mx'] },
  })
})

test('a record that is missing, another one, doubled or without effect is wrong', async () => {
  const { id, dnsRecords } = await foundDomain('picky.example')
  const statusWith = async (changes: Record<string, string[]>) => {
    publish(dnsRecords, changes)
    return (await verify({ domainId: id })).value.domain.verificationStatus
  }
  const include = 'include:_spf.penguinmails.example'
  const key = dnsRecords.dkim.value
  expect(await statusWith({})).toBe('VERIFIED')
  expect(await statusWith({ spf: [`v=spf1 mx ${include} -all`] })).toBe('VERIFIED')
  expect(await statusWith({ dkim: [key.replace('; p=', ';p= ').replace('k=rsa;', '')] })).toBe('VERIFIED')
  const wrong: Record<string, string[]>[] = [
    { ownership: ['penguinmails-verification=other'] },
    { ownership: [] },
    { spf: ['v=spf1 -all'] },
    { spf: [`v=spf1 -all ${include}`] },
    { spf: [`v=spf1 -${include} ~all`] },
    { spf: [`v=spf1 ${include} ~all`, 'v=spf1 mx -all'] },
    { spf: [`v=spf10 ${include} ~all`] },
    { spf: [] },
    { dkim: ['v=DKIM1; k=rsa; p='] },
    { dkim: [`${key.slice(0, -8)}AAAAAAA=`] },
    { dkim: [key.replace('k=rsa', 'k=ed25519')] },
    { dkim: [] },
  ]
  for (const changes of wrong) {
    expect([changes, await statusWith(changes)]).toEqual([changes, 'FAILED'])
  }
  const row = await tier.db.system.domain.findFirstOrThrow({ where: { id } })
  expect(row.verifiedAt).toBeNull()
  expect(await statusWith({})).toBe('VERIFIED')
})

test('where DNS gives no answer it stays what it was', async () => {
  const { id, dnsRecords } = await foundDomain('quiet.example')
  dns.broken.add(dnsRecords.dkim.name)
  const pending = (await verify({ domainId: id })).value.domain
  expect(pending.verificationStatus).toBe('PENDING')
  expect(verifiedOf(pending.dnsRecords)).toEqual([true, true, null, true, true])
  dns.broken.delete(dnsRecords.dkim.name)
  await verify({ domainId: id })
  for (const name of [dnsRecords.dkim.name, dnsRecords.spf.name]) dns.broken.add(name)
  expect((await verify({ domainId: id })).value.domain.verificationStatus).toBe('VERIFIED')
  dns.zone[dnsRecords.ownership.name] = { TXT: ['gone'] }
  expect((await verify({ domainId: id })).value.domain.verificationStatus).toBe('FAILED')
})

test('one that came without records gets them when it is verified; its sending campaigns are planned again', async () => {
  const workspace = await foundLaunchable(tier)
  const { tenantId, domainId, campaignId } = workspace
  const first = await verify({ domainId }, workspace)
  expect(first.value.domain).toMatchObject({ verificationStatus: 'FAILED', dkimSelector: 'pm1' })
  await tier.db.system.campaign.updateMany({ where: { tenantId }, data: { status: 'sending' } })
  publish(first.value.domain.dnsRecords)
  const second = await verify({ domainId }, workspace)
  expect(second.value.domain.verificationStatus).toBe('VERIFIED')
  expect(second.value.domain.dnsRecords.dkim.value).toBe(first.value.domain.dnsRecords.dkim.value)
  const plans = (await tier.announced(tenantId)).filter(({ eventType }) => eventType === 'campaign.planDue')
  expect(plans.map(({ aggregateId }) => aggregateId)).toEqual([campaignId])
})

test('a name belongs to one domain of a tenant, is a name, and the plan says how many there are', async () => {
  const { companyId } = demo
  const input = { companyId, domain: 'once.example', idempotencyKey: 'domain' }
  const answers = await Promise.all([create(input), create(input)])
  expect(answers[0]?.value).toEqual(answers[1]?.value)
  expect(answers[0]?.code).toBeUndefined()
  expect((await create({ companyId, domain: 'ONCE.example' })).code).toBe('CONFLICT')
  expect((await create({ ...input, domain: 'twice.example' })).code).toBe('CONFLICT')
  for (const domain of ['', 'localhost', '-x.example', 'a b.example', 'a..example', '127.0.0.1', 'x.example/y']) {
    expect([domain, (await create({ companyId, domain })).code]).toEqual([domain, 'INVALID_INPUT'])
  }
  expect((await create({ companyId: rival.companyId, domain: 'mine.example' })).code).toBe('NOT_FOUND')
  // The starter plan has one domain, and that is there.
  expect((await create({ companyId: rival.companyId, domain: 'more.example' }, rival)).code).toBe('LIMIT_REACHED')
})

test('a domain is deleted once it has no mailboxes, its key with it; its name is free again', async () => {
  const { id } = await foundDomain('short.example')
  const { dkimVaultKeyPath } = await tier.db.system.domain.findFirstOrThrow({ where: { id } })
  expect((await update({ domainId: id, isPrimary: true })).value.domain.isPrimary).toBe(true)
  expect((await drop({ domainId: id })).value).toEqual({ id })
  const vault = openVault(`file:${tier.vaultFolder}`)
  await expect(vault.read(dkimVaultKeyPath ?? '')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect((await verify({ domainId: id })).code).toBe('NOT_FOUND')
  expect((await create({ companyId: demo.companyId, domain: 'short.example' })).code).toBeUndefined()
  expect((await drop({ domainId: demo.domainId })).code).toBe('CONFLICT')
})

test("another tenant's domain is not found; employees, viewers, staff and services change none", async () => {
  for (const domainId of [rival.domainId, '01930000-0000-7000-8000-00000000dead']) {
    for (const act of [update, verify, drop]) expect((await act({ domainId })).code).toBe('NOT_FOUND')
  }
  const { domainId, companyId } = demo
  for (const role of ['employee', 'viewer']) {
    for (const act of [update, verify, drop]) expect((await act({ domainId }, demo, role)).code).toBe('FORBIDDEN')
    expect((await create({ companyId, domain: 'role.example' }, demo, role)).code).toBe('FORBIDDEN')
  }
  for (const caller of [STAFF, SERVICE]) {
    const text = 'mutation ($id: ID!) { deleteDomain(input: { domainId: $id }) { id } }'
    expect((await tier.ask(text, { id: domainId }, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})
