import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

const PREVIEW = `query ($input: PreviewTemplateInput!) { previewTemplate(input: $input) { subject text html } }`

let tier: OltpTier
let demo: Workspace
let rival: Workspace
let templateId: string

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
  templateId = uuidv7()
  await tier.db.system.template.create({
    data: {
      ...{ tenantId: demo.tenantId, id: templateId, name: 'Hello', subject: 'Hi {{ lead.name }}' },
      bodyText: 'From {{ sender.email }} at {{ company.name }}',
      bodyHtml: '<p>{{ lead.name }} <a href="https://x.example">x</a></p>',
    },
  })
})
afterAll(() => tier?.stop())

async function preview(input: object, { tenantId } = demo) {
  const { data, errors } = await tier.ask(PREVIEW, { input }, userOf(tenantId, { roles: ['viewer'] }))
  return errors ? errors[0]?.extensions : data.previewTemplate
}

test('a template is previewed as a lead would get it, untracked', async () => {
  const { subject, text, html } = await preview({ templateId, leadId: demo.leadId })
  expect(subject).toBe('Hi Lee')
  expect(text).toMatch(new RegExp(`^From sales@${demo.domain} at Company\\n\\nUnsubscribe: http://\\S+/u/preview\\n$`))
  expect(html).toContain('<p>Lee <a href="https://x.example">x</a></p>')
  expect(html).not.toMatch(/<img|\/t\//)
  const other = {
    templateId,
    leadId: demo.leadId,
    emailAccountId: demo.pausedMailboxId,
    subject: 'Re: {{ lead.email }}',
  }
  const changed = await preview(other)
  expect(changed.subject).toBe(`Re: lead@customer-${demo.slug}.example`)
  expect(changed.text).toContain(`From old@${demo.domain} at`)
})

test('so are texts that are not saved; what is wrong with them is said by part and place', async () => {
  const { leadId } = demo
  const shown = await preview({ leadId, subject: 'S', bodyHtml: '<b>{{ lead.company | default: "you & co" }}</b>' })
  expect(shown).toMatchObject({ subject: 'S', text: null, html: expect.stringContaining('<b>you &amp; co</b>') })
  const wrong = await preview({ leadId, subject: 'S', bodyText: '\n{{ lead.age }}' })
  expect(wrong).toMatchObject({ code: 'INVALID_INPUT', field: 'bodyText', line: 2, column: 4, variable: 'lead.age' })
  const missing = await preview({ leadId, subject: '{{ lead.custom.city }}', bodyText: 'x' })
  expect(missing).toMatchObject({ code: 'INVALID_INPUT', field: 'subject', variable: 'lead.custom.city' })
  for (const input of [{ bodyText: 'x' }, { subject: 'S' }, { templateId, bodyText: 'x' }, { templateId: 'no id' }]) {
    expect(await preview({ leadId, ...input })).toMatchObject({ code: 'INVALID_INPUT' })
  }
})

test("another tenant's template, lead and mailbox are like none", async () => {
  const own = { templateId: demo.templateId, leadId: demo.leadId }
  for (const input of [
    { ...own, leadId: rival.leadId },
    { ...own, templateId: rival.templateId },
    { ...own, emailAccountId: rival.mailboxId },
    { ...own, leadId: uuidv7() },
  ]) {
    expect(await preview({ ...input })).toMatchObject({ code: 'NOT_FOUND' })
  }
  expect(await preview({ templateId, leadId: rival.leadId }, rival)).toMatchObject({ code: 'NOT_FOUND' })
})
