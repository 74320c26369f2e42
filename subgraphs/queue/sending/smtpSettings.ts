import { z } from 'zod'
import { describeProblem } from '../engine/jobRequest.ts'

/** How a mailbox sends: what its `smtp_settings` say. */
export const smtpSettings = z.object({
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65_535).default(587),
  /** TLS from the first byte; else STARTTLS, which a server outside has to offer for a password to be sent. */
  secure: z.boolean().optional(),
  /** Refuses to go on without STARTTLS also where no password is sent. */
  requireTls: z.boolean().default(false),
  /** Whom it signs in as; its address unless given. */
  user: z.string().min(1).max(320).nullish(),
  /** Connections at once, and mails of one connection. */
  maxConnections: z.int().min(1).max(20).default(2),
  maxMessages: z.int().min(1).max(10_000).default(100),
})
export type SmtpSettings = z.output<typeof smtpSettings>

/** @throws Error in words for the mailbox's owner */
export function readSmtpSettings(stored: unknown): SmtpSettings {
  const parsed = smtpSettings.safeParse(stored)
  if (!parsed.success) throw new Error(`the mailbox's SMTP settings: ${describeProblem(parsed.error)}`)
  return parsed.data
}
