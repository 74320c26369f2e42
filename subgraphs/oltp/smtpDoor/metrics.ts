import { Counter, Gauge, Histogram } from 'prom-client'
import type { Metrics } from '#platform/metrics.ts'

/** `dropped`: the sender went away before the end; `refused` and `later`: answered with 5xx and 4xx. */
export type MailOutcome = 'stored' | 'refused' | 'later' | 'dropped'

export type DoorMetrics = ReturnType<typeof addDoorMetrics>

/** Shows what comes in by mail. */
export function addDoorMetrics({ registry }: Metrics, now: { connections: () => number; heldBytes: () => number }) {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  gauge('smtp_connections', 'Clients that are connected', now.connections)
  gauge('smtp_held_bytes', 'Bytes of mails under way', now.heldBytes)
  const recipients = new Counter({
    name: 'smtp_recipients_total',
    help: 'RCPT commands by answer: accepted, unknown or later',
    labelNames: ['answer'] as const,
    registers: [registry],
  })
  const mails = new Histogram({
    name: 'smtp_mail_seconds',
    help: 'Time from DATA to the answer by outcome: stored, refused, later or dropped',
    labelNames: ['outcome'] as const,
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600],
    registers: [registry],
  })
  return {
    countRecipient: (answer: 'accepted' | 'unknown' | 'later') => recipients.inc({ answer }),
    /** @param startedAt of `performance.now()` */
    countMail: (outcome: MailOutcome, startedAt: number) =>
      mails.observe({ outcome }, (performance.now() - startedAt) / 1000),
  }
}
