import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { now } from '#platform/clock.ts'
import type { Agenda } from './agenda.ts'
import type { Ledger } from './ledger.ts'
import type { RecentMails } from './recentMails.ts'

const ledgerQuery = z.object({ to: z.string().toLowerCase().optional() })
const mailsQuery = ledgerQuery.extend({ last: z.coerce.number().int().min(1).max(1000).default(20) })

type Shown = { seed: string; ledger: Ledger; recent: RecentMails; agenda: Agenda }

/** `GET /ledger[?to=…]`: what happened, in numbers. `GET /mails[?to=…&last=20]`: the last mails as they came. */
export function addSandboxPages(app: FastifyInstance, { seed, ledger, recent, agenda }: Shown): void {
  app.get('/ledger', async ({ query }, reply) => {
    const asked = ledgerQuery.safeParse(query)
    if (!asked.success) return reply.code(400).send({ error: z.prettifyError(asked.error) })
    return { seed, now: now().toISOString(), pending: agenda.pending, ...ledger.read(asked.data.to) }
  })
  app.get('/mails', async ({ query }, reply) => {
    const asked = mailsQuery.safeParse(query)
    if (!asked.success) return reply.code(400).send({ error: z.prettifyError(asked.error) })
    const { to, last } = asked.data
    return recent.list(to, last).map(({ raw, ...mail }) => ({ ...mail, raw: raw.toString('latin1') }))
  })
}
