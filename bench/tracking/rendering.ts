import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { makeTrackingKey } from '#platform/tracking/keys.ts'
import { composeMail } from '../../subgraphs/oltp/services/rendering/composeMail.ts'
import { makeMailRenderer } from '../../subgraphs/oltp/services/rendering/renderMail.ts'
import { formatTable } from '../support/table.ts'

const ROUNDS = 7
const RENDERS = 5_000
const MAILS = 1_000
const SIGNED = 200

const PARAGRAPH =
  'We help teams like yours at {{ lead.company | default: "your company" }} to write to the right people at the right time, ' +
  'without a second tool and without a third spreadsheet. Most of them are up and running within a week.'

const TEMPLATE = {
  subject: 'A question about {{ lead.company | default: "your team" }}',
  bodyText: `Hi {{ lead.name | default: "there" }},\n\n${PARAGRAPH}\n\n${PARAGRAPH}\n\n{{ sender.name }}\n{{ unsubscribe_url }}\n`,
  bodyHtml:
    '<html><body style="font-family:sans-serif"><p>Hi {{ lead.name | default: "there" }},</p>' +
    `<p>${PARAGRAPH}</p><p>${PARAGRAPH} <a href="https://product.example/tour?utm_source=mail&amp;utm_campaign=autumn">A tour</a></p>` +
    '{% if lead.custom.city %}<p>We will be in {{ lead.custom.city }} next month.</p>{% endif %}' +
    '<p><a href="https://product.example/prices">Prices</a> · <a href="https://calendar.example/{{ sender.name }}">Book a call</a></p>' +
    '<p>{{ sender.name }}, {{ company.name }}</p><p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>',
}

/** Mails rendered, composed and signed per second; a first round of each is not counted. */
export async function measureRendering(): Promise<void> {
  const keys = [makeTrackingKey(randomBytes(32))] as const
  const renderer = makeMailRenderer({ publicUrl: 'https://mail.example', keys })
  const tenantId = uuidv7()
  const render = (n: number) =>
    renderer.render(
      TEMPLATE,
      { tenantId, messageId: uuidv7() },
      {
        lead: {
          email: `lead${n}@x.example`,
          name: `Lead ${n}`,
          company: `Firm ${n}`,
          title: null,
          custom: { city: 'Rome' },
        },
        sender: { email: 'sam@sender.example', name: 'Sam' },
        company: { name: 'Sender Ltd' },
      },
    )
  const mail = render(0)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const dkim = {
    ...{ domain: 'sender.example', selector: 's1' },
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  const compose = (isSigned: boolean) =>
    composeMail({
      ...{ refId: uuidv7(), from: { email: 'sam@sender.example', name: 'Sam' }, to: { email: 'lead@x.example' } },
      ...{ mail, date: new Date(), dkim: isSigned ? dkim : null },
    })
  const works = [
    { name: 'rendered: texts, three tracked links, pixel', count: RENDERS, work: async (n: number) => render(n) },
    { name: 'composed', count: MAILS, work: () => compose(false) },
    { name: 'composed and signed (RSA 2048)', count: SIGNED, work: () => compose(true) },
  ]
  const rows: string[][] = []
  for (const { name, count, work } of works) {
    const speeds: number[] = []
    for (let round = 0; round <= ROUNDS; round++) {
      const startedAt = performance.now()
      for (let n = 0; n < count; n++) await work(n)
      if (round > 0) speeds.push((1_000 * count) / (performance.now() - startedAt))
    }
    const sorted = speeds.sort((a, b) => a - b)
    rows.push([name, ...[0, ROUNDS >> 1, ROUNDS - 1].map((place) => (sorted[place] ?? Number.NaN).toFixed(0))])
  }
  console.log(`\nMails per second, one after the other, ${ROUNDS} rounds\n`)
  console.log(formatTable(['', 'slowest', 'median', 'fastest'], rows))
}
