import { createTransport } from 'nodemailer'
import type { ReactionEnd } from './ledger.ts'
import type { Answer } from './reports.ts'
import { NobodyThere } from './visits.ts'

/** Sends answers to the platform's door, over a few connections that stay. */
export function makeAnswering({ host, port }: { host: string; port: number }) {
  const transport = createTransport({
    pool: true,
    host,
    port,
    name: 'mx.sandbox.test',
    ignoreTLS: true,
    maxConnections: 4,
    maxMessages: Number.POSITIVE_INFINITY,
    connectionTimeout: 10_000,
  })
  return {
    /** @throws NobodyThere when the door is closed or asks for another attempt */
    async send({ sender, recipient, raw }: Answer): Promise<ReactionEnd> {
      try {
        await transport.sendMail({ envelope: { from: sender, to: [recipient] }, raw })
        return 'done'
      } catch (cause) {
        const { responseCode = 0 } = cause as { responseCode?: number }
        if (responseCode >= 500) return 'refused'
        throw new NobodyThere('the door takes no mail', { cause })
      }
    },
    close: () => transport.close(),
  }
}
export type Answering = ReturnType<typeof makeAnswering>
