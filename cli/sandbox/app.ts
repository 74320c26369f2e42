import { buildHealthServer } from '#platform/health.ts'
import { type Log, makeLog } from '#platform/log.ts'
import { makeMetrics } from '#platform/metrics.ts'
import { listenPatiently } from '#platform/patientListen.ts'
import { Agenda } from './agenda.ts'
import { makeAnswering } from './answering.ts'
import type { SandboxConfig } from './config.ts'
import { Ledger } from './ledger.ts'
import { makeMailServer } from './mailServer.ts'
import { addSandboxPages } from './pages.ts'
import { RecentMails } from './recentMails.ts'
import { Visitor } from './visits.ts'
import { World } from './world.ts'

/**
 * The sandbox: an SMTP server for whatever the platform sends, the world behind it, and a server for its health and its
 * ledger. Neither listens yet: the mail port opens together with the other. What is still to happen at `close` never does.
 */
export function buildSandbox(config: SandboxConfig, log: Log = makeLog('sandbox', config.logLevel)) {
  const { host, seed, rates } = config
  const metrics = makeMetrics('sandbox')
  const agenda = new Agenda((error) => log.error({ err: error }, 'a reaction failed'))
  const ledger = new Ledger()
  const recent = new RecentMails()
  const answering = makeAnswering(config.door)
  const visitor = new Visitor(config.visits, seed)
  const world = new World({ seed, rates, agenda, ledger, recent, visitor, answering, log })
  const mailServer = makeMailServer(world, log)
  const app = buildHealthServer({ ready: async () => {}, metrics, log })
  addSandboxPages(app, { seed, ledger, recent, agenda })
  app.addHook('onReady', () =>
    listenPatiently(mailServer.server.server, { host, port: config.smtpPort, setting: 'SANDBOX_SMTP_PORT' }),
  )
  const close = async () => {
    agenda.stop()
    await mailServer.close()
    answering.close()
    await app.close()
  }
  return { app, log, metrics, close, ledger, agenda }
}
