import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type ParsedMail, simpleParser } from 'mailparser'
import { createTransport, type Transporter } from 'nodemailer'
import { SMTPServer } from 'smtp-server'
import { setClock } from '#platform/clock.ts'
import { parseConfig } from '#platform/config.ts'
import { buildSandbox } from '../../cli/sandbox/app.ts'
import { sandboxConfig } from '../../cli/sandbox/config.ts'
import { DEFAULT_RATES } from '../../cli/sandbox/rates.ts'
import { eventually } from '../support/eventually.ts'
import { findFreePort } from '../support/freePort.ts'
import { talkSmtp } from '../support/smtpTalk.ts'

/** Eight hours of the world in a quarter of a second. */
const SPEED = 100_000
const SENDER = 'ada@demo-mail.example'

type Arrival = { from: string; to: string[]; raw: string; mail: ParsedMail }
type Visit = { method: string; path: string; agent: string; purpose: string; body: string }

let sandbox: ReturnType<typeof buildSandbox>
let smtpPort: number
let url: string
let gateway: Server
let door: SMTPServer
let transport: Transporter
let arrivals: Arrival[] = []
let visits: Visit[] = []
/** What the door says to the next mails, instead of taking them. */
let doorRefuses: number[] = []
/** How often visitors find the gateway broken. */
let gatewayFails = 0

beforeAll(async () => {
  setClock({ speed: SPEED, originAt: Date.now() })
  gateway = createServer((request, response) => {
    void readVisit(request).then((visit) => {
      visits.push(visit)
      const status = gatewayFails > 0 ? 503 : request.url?.startsWith('/t/c/') ? 302 : 200
      gatewayFails = Math.max(0, gatewayFails - 1)
      response.writeHead(status, { location: 'http://127.0.0.1:1/elsewhere' }).end()
    })
  })
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  door = new SMTPServer({
    authOptional: true,
    logger: false,
    disabledCommands: ['STARTTLS'],
    onData(stream, { envelope }, answer) {
      void readAll(stream).then(async (raw) => {
        const code = doorRefuses.shift()
        if (code) return answer(Object.assign(new Error('not now'), { responseCode: code }))
        const from = envelope.mailFrom ? envelope.mailFrom.address : ''
        const to = envelope.rcptTo.map(({ address }) => address)
        arrivals.push({ from, to, raw: raw.toString('latin1'), mail: await simpleParser(raw) })
        answer()
      })
    },
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', () => resolve()))
})
afterAll(async () => {
  setClock({ speed: 1, originAt: 0 })
  gateway.closeAllConnections()
  await new Promise((resolve) => gateway.close(resolve))
  await new Promise<void>((resolve) => door.close(resolve))
})

beforeEach(() => startSandbox())
afterEach(() => stopSandbox())

async function startSandbox(settings: Record<string, string> = {}) {
  arrivals = []
  visits = []
  doorRefuses = []
  gatewayFails = 0
  smtpPort = await findFreePort()
  sandbox = buildSandbox(
    parseConfig(sandboxConfig, {
      LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
      SANDBOX_SMTP_PORT: String(smtpPort),
      SMTP_PORT: String((door.server.address() as AddressInfo).port),
      GATEWAY_PORT: String((gateway.address() as AddressInfo).port),
      ...settings,
    }),
  )
  url = await sandbox.app.listen({ host: '127.0.0.1', port: 0 })
  transport = createTransport({ pool: true, host: '127.0.0.1', port: smtpPort, ignoreTLS: true, maxConnections: 10 })
}

async function stopSandbox() {
  transport.close()
  await sandbox.close()
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function readVisit(request: IncomingMessage): Promise<Visit> {
  const body = String(await readAll(request))
  const { 'user-agent': agent = '', 'sec-purpose': purpose = '' } = request.headers
  return { method: request.method ?? '', path: request.url ?? '', agent, purpose: String(purpose), body }
}

const ours = () => `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`

/** A campaign's mail as the platform writes it; `id` also stands in its tracked addresses. */
function makeCampaignMail(to: string, id = `${to.replace(/\W/g, '-')}-1`) {
  return {
    from: { name: 'Ada Penguin', address: SENDER },
    to: { name: 'Lea Lead', address: to },
    subject: 'A question about your outreach',
    messageId: `<${id}@demo-mail.example>`,
    headers: {
      'List-Unsubscribe': `<${ours()}/u/${id}>, <mailto:${SENDER}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    },
    text: `Hi Lea,\n\nhow do you do it?\n${ours()}/t/c/${id}-text`,
    html:
      `<p>Hi Lea</p><a href="${ours()}/t/c/${id}-1">one</a> <a href="${ours()}/t/c/${id}-2">two</a>` +
      `<a href="${ours()}/u/${id}">Unsubscribe</a><a href="http://127.0.0.1:1/never">elsewhere</a>` +
      `<img src="${ours()}/t/o/${id}"><img src="http://pixel.example/never">`,
  }
}

const send = (to: string, id?: string) => transport.sendMail(makeCampaignMail(to, id))

/** What sending fails with. */
const failing = (to: string): Promise<{ responseCode?: number; code?: string; message: string }> =>
  send(to).then(
    () => ({ message: 'was taken' }),
    (error) => error,
  )

type LedgerPage = ReturnType<ReturnType<typeof buildSandbox>['ledger']['read']> & { pending: number; seed: string }

const readLedger = async (query = '') => (await (await fetch(`${url}/ledger${query}`)).json()) as LedgerPage

/** The ledger once nothing is left to happen. */
const settled = () =>
  eventually(
    () => readLedger(),
    ({ pending }) => pending === 0,
    40_000,
  )

describe('mail that comes back', () => {
  test('for good is reported as RFC 3464 wants it, to its envelope’s sender, from nobody', async () => {
    await send('hardbounce+1@lead.example')
    await settled()
    const [{ from, to, raw, mail }] = arrivals as [Arrival]
    expect({ from, to }).toEqual({ from: '', to: [SENDER] })
    expect(raw).toMatch(/^Content-Type: multipart\/report; report-type=delivery-status;\s+boundary=/m)
    expect(raw).toMatch(/^Content-Type: message\/delivery-status/m)
    expect(raw).toMatch(/^Final-Recipient: rfc822; hardbounce\+1@lead\.example\r$/m)
    expect(raw).toMatch(/^Action: failed\r$/m)
    expect(raw).toMatch(/^Status: 5\.\d\.\d+\r$/m)
    expect(raw).toMatch(/^Diagnostic-Code: smtp; 550 5\./m)
    expect(raw).toMatch(/^Content-Type: text\/rfc822-headers/m)
    expect(raw).toContain('<hardbounce-1-lead-example-1@demo-mail.example>')
    expect(mail.headers.get('auto-submitted')).toBe('auto-replied')
    expect(visits).toEqual([])
  })

  test('for now says so', async () => {
    await send('softbounce@lead.example')
    await settled()
    expect(arrivals[0]?.raw).toMatch(/^Status: 4\.\d\.\d+\r$/m)
    expect((await readLedger()).total.fates).toEqual({ softBounce: 1 })
  })
})

describe('people', () => {
  test('answer with what they answer quoted below, in its conversation', async () => {
    await send('reply@lead.example')
    const { total } = await settled()
    expect(total.reactions.done).toEqual({ open: 1, reply: 1 })
    const [{ from, to, mail }] = arrivals as [Arrival]
    expect({ from, to }).toEqual({ from: 'reply@lead.example', to: [SENDER] })
    expect(mail).toMatchObject({
      subject: 'Re: A question about your outreach',
      inReplyTo: '<reply-lead-example-1@demo-mail.example>',
      references: '<reply-lead-example-1@demo-mail.example>',
    })
    expect(mail.from?.text).toBe('"Lea Lead" <reply@lead.example>')
    expect(mail.text).toMatch(
      /^[^>\n]+\n\nOn [^\n]+ Ada Penguin <ada@demo-mail\.example> wrote:\n\n> Hi Lea,\n> *\n> how do/,
    )
    expect(mail.html).toContain('<blockquote class="gmail_quote"')
    expect(visits).toMatchObject([{ method: 'GET', path: '/t/o/reply-lead-example-1' }])
  })

  test('who are away have their program answer, as one that nobody is to answer', async () => {
    await send('autoreply@lead.example')
    await settled()
    const [{ from, mail }] = arrivals as [Arrival]
    expect(from).toBe('')
    expect(mail.subject).toBe('Automatic reply: A question about your outreach')
    expect(mail.headers.get('auto-submitted')).toBe('auto-replied')
  })

  test('who complain have their provider report it as RFC 5965 wants it, with the mail in it', async () => {
    await send('complain@lead.example')
    await settled()
    const [{ to, raw }] = arrivals as [Arrival]
    expect(to).toEqual([SENDER])
    expect(raw).toMatch(/^Content-Type: multipart\/report; report-type=feedback-report;\s+boundary=/m)
    expect(raw).toMatch(/^Content-Type: message\/feedback-report/m)
    expect(raw).toMatch(/^Feedback-Type: abuse\r$/m)
    expect(raw).toMatch(/^Original-Rcpt-To: <complain@lead\.example>\r$/m)
    expect(raw).toMatch(/^Content-Type: message\/rfc822/m)
    expect(raw).toContain('how do you do it?')
  })

  test('follow one of the links that do not unsubscribe, after looking, and are not led away', async () => {
    await send('click@lead.example')
    await settled()
    expect(visits.map(({ path }) => path)).toEqual([
      '/t/o/click-lead-example-1',
      expect.stringMatching(/^\/t\/c\/click-lead-example-1-[12]$/),
    ])
    expect(visits.every(({ agent }) => agent.includes('Safari'))).toBe(true)
  })

  test('unsubscribe with one click, as RFC 8058 wants it; from a mail that offers none they cannot', async () => {
    await send('unsubscribe+1@lead.example')
    await transport.sendMail({ ...makeCampaignMail('unsubscribe+2@lead.example'), headers: {} })
    const { recipients } = await settled()
    expect(visits.filter(({ path }) => path.startsWith('/u/'))).toMatchObject([
      { method: 'POST', path: '/u/unsubscribe-1-lead-example-1', body: 'List-Unsubscribe=One-Click' },
    ])
    expect(recipients['unsubscribe+2@lead.example']?.reactions.impossible).toEqual({ unsubscribe: 1 })
  })
})

describe('machines', () => {
  test('fetch pictures as Apple’s proxy, ahead of people, or follow every link to check it', async () => {
    for (const word of ['proxy', 'prefetch', 'scan']) await send(`${word}@lead.example`)
    await settled()
    const visitsOf = (word: string) => visits.filter(({ path }) => path.includes(`/${word}-lead-example-1`))
    expect(visitsOf('proxy')).toMatchObject([{ agent: 'Mozilla/5.0' }])
    expect(visitsOf('prefetch')).toMatchObject([{ purpose: 'prefetch', agent: expect.stringContaining('Safari') }])
    const id = 'scan-lead-example-1'
    expect(
      visitsOf('scan')
        .map(({ method, path }) => `${method} ${path}`)
        .sort(),
    ).toEqual([...[`GET /t/c/${id}-1`, `GET /t/c/${id}-2`, `GET /t/o/${id}`, `GET /u/${id}`]])
    expect(visitsOf('scan').every(({ agent }) => /scanner/i.test(agent))).toBe(true)
  })

  test('and people ask no one but the platform’s gateway', async () => {
    await send('scan@lead.example')
    const { total } = await settled()
    // The addresses elsewhere would have failed: nobody listens there.
    expect(total.reactions).toEqual({ done: { scan: 1 }, refused: {}, failed: {}, impossible: {} })
  })
})

describe('bad servers', () => {
  test('refuse a recipient, or the mail once they have it', async () => {
    expect(await failing('refuse@lead.example')).toMatchObject({ responseCode: 550 })
    expect(await failing('rejectdata@lead.example')).toMatchObject({ responseCode: 554 })
    expect(await failing('defer@lead.example')).toMatchObject({ responseCode: 450 })
    expect((await readLedger()).total).toMatchObject({ mails: 0, receptions: { refuse: 1, rejectData: 1, defer: 1 } })
  })

  test('take from a sender they do not know at the second attempt', async () => {
    expect(await failing('greylist@lead.example')).toMatchObject({ responseCode: 451 })
    await send('greylist@lead.example')
    expect((await readLedger('?to=Greylist@lead.example')).recipients['greylist@lead.example']).toMatchObject({
      mails: 1,
      receptions: { greylist: 1 },
    })
  })

  test('hang before the mail or after it, and hang up in the middle of it', async () => {
    const impatient = createTransport({ socketTimeout: 3_000, host: '127.0.0.1', port: smtpPort, ignoreTLS: true })
    for (const word of ['hang', 'hangdata']) {
      await expect(impatient.sendMail(makeCampaignMail(`${word}@lead.example`))).rejects.toThrow(/timeout/i)
    }
    await expect(impatient.sendMail(makeCampaignMail('dropdata@lead.example'))).rejects.toThrow(/closed|ECONNRESET/i)
    impatient.close()
    const { total } = await readLedger()
    expect(total).toMatchObject({ mails: 0, receptions: { hang: 1, hangData: 1, dropData: 1 } })
  })

  test('take a mail without saying so: the repeat is counted as one, and nothing more comes of it', async () => {
    const talk = await talkSmtp(smtpPort, { from: SENDER, to: ['dropaccepted@lead.example'] })
    talk.write('Message-ID: <once@demo-mail.example>\r\nSubject: Once\r\n\r\nHi.\r\n')
    expect(await talk.say('.')).toBe('')
    const again = await talkSmtp(smtpPort, { from: SENDER, to: ['dropaccepted@lead.example'] })
    again.write('Message-ID: <once@demo-mail.example>\r\nSubject: Once\r\n\r\nHi.\r\n')
    expect(await again.say('.')).toBe('')
    expect((await readLedger()).recipients['dropaccepted@lead.example']).toMatchObject({ mails: 1, repeats: 1 })
    const kept = (await (await fetch(`${url}/mails?to=dropaccepted@lead.example`)).json()) as { isRepeat: boolean }[]
    expect(kept.map(({ isRepeat }) => isRepeat)).toEqual([true, false])
  })
})

describe('when the platform is away', () => {
  test('answers and visits are tried again, with the same bytes, until it is back', async () => {
    doorRefuses = [451, 421]
    gatewayFails = 2
    await send('reply@lead.example')
    const { total } = await settled()
    expect(total.reactions).toMatchObject({ done: { open: 1, reply: 1 }, failed: {} })
    expect(arrivals).toHaveLength(1)
    expect(visits).toHaveLength(3)
  })

  test('an answer that it does not want is given up', async () => {
    doorRefuses = [550]
    await send('reply@lead.example')
    expect((await settled()).total.reactions).toMatchObject({ done: { open: 1 }, refused: { reply: 1 } })
    expect(arrivals).toEqual([])
  })
})

describe('a crowd', () => {
  const crowd = Array.from({ length: 300 }, (_, n) => `person.${n}@company-${n % 7}.example`)
  const RATES = Object.fromEntries(
    Object.keys(DEFAULT_RATES).map((name) => [
      `SANDBOX_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_RATE`,
      name === 'refuse' ? '0.05' : '0.15',
    ]),
  )

  /** Sends two mails to each, those to come again later once more; answers the ledger. */
  async function run(seed: string) {
    await stopSandbox()
    await startSandbox({ ...RATES, SANDBOX_SEED: seed })
    for (const step of ['a', 'b']) {
      await Promise.all(
        crowd.map(async (to, n) => {
          const id = `${seed}-${step}-${n}-${Math.random()}`
          const { responseCode } = await send(to, id).then(
            () => ({ responseCode: 250 }),
            (error) => error,
          )
          if (responseCode === 451) await send(to, id)
        }),
      )
    }
    return settled()
  }

  test('does in each run with the same seed what it planned, and its answers and visits are what the ledger says', async () => {
    const first = await run('crowd')
    const { done } = first.total.reactions
    const { planned, fates, receptions } = first.total
    expect(done).toEqual(planned)
    expect(fates.delivered).toBe(first.total.mails - (fates.hardBounce ?? 0) - (fates.softBounce ?? 0))
    expect(first.total.mails).toBe(2 * crowd.length - (receptions.refuse ?? 0))
    const answers = ['hardBounce', 'softBounce', 'reply', 'autoReply', 'complaint'] as const
    expect(arrivals).toHaveLength(answers.reduce((sum, kind) => sum + (done[kind] ?? 0), 0))
    const posts = visits.filter(({ method }) => method === 'POST')
    expect(posts).toHaveLength(done.unsubscribe ?? 0)
    const opens = visits.filter(({ path, agent }) => path.startsWith('/t/o/') && !/scanner/i.test(agent))
    expect(opens).toHaveLength((done.open ?? 0) + (done.proxyOpen ?? 0) + (done.prefetch ?? 0))

    const { recipients } = await run('crowd')
    expect(recipients).toEqual(first.recipients)
    expect((await run('another')).recipients).not.toEqual(first.recipients)
  }, 180_000)
})

test('the pages say what is wrong with a question', async () => {
  expect((await fetch(`${url}/mails?last=none`)).status).toBe(400)
  expect((await fetch(`${url}/health/ready`)).status).toBe(200)
})

test('the sandbox closes at once, though a client stays on the line after QUIT', async () => {
  await stopSandbox()
  await startSandbox({})
  const client = net.connect({ port: smtpPort, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  await once(client, 'data')
  client.write('QUIT\r\n')
  await once(client, 'data')
  const startedAt = performance.now()
  await stopSandbox()
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  client.destroy()
  await startSandbox({})
})
