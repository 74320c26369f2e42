import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createTransport } from 'nodemailer'
import { setClock } from '#platform/clock.ts'
import { eventually } from '../support/eventually.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'

let platform: TestPlatform
let sandbox: Awaited<ReturnType<TestPlatform['startSandbox']>>
let demo: TestTenant

beforeAll(async () => {
  // A day of the world in less than a second.
  setClock({ speed: 100_000, originAt: Date.now() })
  platform = await startPlatform({ tiers: ['oltp', 'content'] })
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
  await platform.startSmtpDoor()
  sandbox = await platform.startSandbox()
}, START_TIMEOUT_MS)
afterAll(async () => {
  setClock({ speed: 1, originAt: 0 })
  await platform.stop()
})

const INBOX = `{ messages(first: 50, filter: { direction: INBOUND }) { nodes {
  subject messageType fromEmail emailAccount { email } content { text } } } }`
type Received = { subject: string; messageType: string; fromEmail: string; content: { text: string } }

test('what people and machines of the sandbox answer is in the mailbox that wrote to them, and in no other', async () => {
  const words = ['hardbounce', 'softbounce', 'reply', 'autoreply', 'complain', 'deliver']
  const transport = createTransport({
    host: '127.0.0.1',
    port: Number(platform.settings.sandbox.SANDBOX_SMTP_PORT),
    ignoreTLS: true,
  })
  for (const word of words) {
    await transport.sendMail({
      from: demo.mailbox,
      to: `${word}@lead.example`,
      subject: `To ${word}`,
      text: 'How do you do?',
    })
  }
  transport.close()
  await eventually(
    async () => sandbox.agenda.pending,
    (pending) => pending === 0,
  )
  const { data } = await platform.ask(INBOX)
  const nodes: (Received & { emailAccount: { email: string } })[] = data.messages.nodes
  expect(nodes.map(({ emailAccount }) => emailAccount.email)).toEqual(Array(5).fill(demo.mailbox))
  expect(nodes.filter(({ messageType }) => messageType === 'BOUNCE')).toHaveLength(2)
  expect(nodes.find(({ subject }) => subject === 'Re: To reply')).toMatchObject({
    messageType: 'EMAIL',
    fromEmail: 'reply@lead.example',
    content: { text: expect.stringContaining('> How do you do?') },
  })
  expect(nodes.find(({ subject }) => subject === 'Automatic reply: To autoreply')?.messageType).toBe('AUTO_REPLY')
  expect(nodes.map(({ subject }) => subject)).toContain('FW: To complain')
  expect((await platform.ask(INBOX, {}, RIVAL)).data.messages.nodes).toEqual([])
  expect(DEMO.tenantId).toBe(demo.tenantId)
})
