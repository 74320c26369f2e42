import { isConnectionLost } from '#platform/database/retries.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { GroupCommit } from '#platform/groupCommit.ts'
import type { Database } from '../../database.ts'
import { transact } from '../sending/transact.ts'
import { type InboundMail, type Outcome, writeInbound } from './inbound.ts'
import type { RawMail } from './rawMail.ts'
import { type StoredMail, storeMails } from './storedMail.ts'

const MAILS_PER_GROUP = 50

/** The two costly steps of taking in mail, each paid once for all mails of a tenant that are on their way at the time. */
export type MailGroups = {
  /** @throws AppError UNAVAILABLE when the content tier does not answer */
  store(tenantId: string, mail: { raw: RawMail; requestId: string }): Promise<StoredMail>
  /** One transaction for all mails of a group. @throws AppError CONFLICT when the mail is being removed meanwhile */
  write(tenantId: string, mail: InboundMail): Promise<Outcome>
}

export function makeMailGroups(db: Database, content: ServiceClient): MailGroups {
  const storing = new GroupCommit<{ raw: RawMail; requestId: string }, StoredMail>({
    maxItems: MAILS_PER_GROUP,
    isEverybodys: isAway,
    async run(tenantId, mails) {
      const requestId = mails[0]?.requestId ?? ''
      const raws = mails.map(({ raw }) => raw)
      const stored = await storeMails(content, raws, { tenantId, requestId })
      return raws.map(({ storageKey }) => {
        const mail = stored.get(storageKey)
        if (!mail) throw new AppError('UNAVAILABLE', 'the content tier did not answer for this mail')
        return mail
      })
    },
  })
  const writing = new GroupCommit<InboundMail, Outcome>({
    maxItems: MAILS_PER_GROUP,
    isEverybodys: isAway,
    run: (tenantId, mails) =>
      runAsTenant(tenantId, () =>
        transact({ db, requestId: mails[0]?.requestId ?? '' }, (tx) => writeInbound(tx, mails), { retries: 2 }),
      ),
  })
  return {
    store: (tenantId, mail) => storing.submit(tenantId, mail),
    write: (tenantId, mail) => writing.submit(tenantId, mail),
  }
}

/** How pg's pool says that no connection came free in time; it has no code. */
const POOL_TIMEOUT = 'timeout exceeded when trying to connect'

/** The content tier or the database is away: to ask it mail by mail would cost each of them a whole timeout, in turn. */
function isAway(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'UNAVAILABLE'
  return isConnectionLost(error) || (error instanceof Error && error.message === POOL_TIMEOUT)
}
