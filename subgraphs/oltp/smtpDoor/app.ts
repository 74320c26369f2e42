import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { buildHealthServer } from '#platform/health.ts'
import { Hints } from '#platform/live/hints.ts'
import { type Log, makeLog } from '#platform/log.ts'
import { makeMetrics } from '#platform/metrics.ts'
import { PrismaClient } from '#prisma/oltp'
import type { Parts } from '../context.ts'
import { tellingRelay } from '../live.ts'
import { makeMailGroups } from '../services/mailFlow/mailGroups.ts'
import type { SmtpDoorConfig } from './config.ts'
import { deliverMail } from './delivery.ts'
import { MailRoom } from './heldMail.ts'
import { addDoorMetrics } from './metrics.ts'
import { findRecipient } from './recipients.ts'
import { MailServer } from './server.ts'

/**
 * The first tier's second door: takes in mail that others bring by SMTP or LMTP, with a server for its health and its
 * numbers. Neither listens yet: the mail port opens together with the other. What it announces is carried by the
 * subgraph's relay. `close` drains it: mails under way are answered until the deadline of the settings.
 */
export function buildSmtpDoor(config: SmtpDoorConfig, log: Log = makeLog('smtpDoor', config.logLevel)) {
  const { host, smtp, maxMessageBytes } = config
  const db = openTierDatabase(config.database, PrismaClient)
  const content = makeServiceClient(config.asks.content)
  const hints = new Hints({ tier: 'oltp', pool: db.systemSql, redisUrl: config.redisUrl, log })
  const parts: Parts = {
    db,
    content,
    // The subgraph's relay finds by itself what is announced here; subscribers want to hear of it now.
    relay: tellingRelay(hints, () => {}),
    mailGroups: makeMailGroups(db, content),
    maxMessageBytes,
  }
  const room = new MailRoom(config.heldBytes)
  const metrics = makeMetrics('smtpDoor')
  const doorMetrics = addDoorMetrics(metrics, {
    connections: () => server.connections,
    heldBytes: () => room.held,
  })
  const server = new MailServer({
    ...smtp,
    maxMessageBytes,
    room,
    metrics: doorMetrics,
    log,
    find: (address) => findRecipient(db.systemSql, address),
    deliver: (mail) => deliverMail(parts, mail, log),
  })
  const app = buildHealthServer({ ready: () => db.systemSql.query('SELECT 1'), metrics, log })
  app.addHook('onReady', () => server.listen(host, smtp.port))
  const close = async () => {
    await server.close(config.drainMs)
    await app.close()
    hints.close()
    await db.close()
  }
  return { app, log, metrics, close, server, db }
}
