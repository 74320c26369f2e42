import { z } from 'zod'
import { dnsServersSetting, positiveInteger, redisUrl } from '#platform/config.ts'
import { subgraphConfig } from '#platform/subgraph/config.ts'
import { publicUrlSetting, trackingKeySettings } from '#platform/tracking/keys.ts'
import { vaultSetting } from '#platform/vault.ts'

/** Settings of the oltp subgraph; README.md lists them. */
export const oltpConfig = subgraphConfig('oltp', {
  asks: ['content', 'queue'],
  settings: {
    /** Largest mail taken in, in bytes of its raw form. */
    MAX_MESSAGE_BYTES: positiveInteger.default(25 * 1024 * 1024),
    /** Where recipients reach the gateway. */
    PUBLIC_URL: publicUrlSetting.default('http://127.0.0.1:4000'),
    ...trackingKeySettings,
    /** Where passwords of mailboxes and keys of domains go: file:<folder>. */
    VAULT: vaultSetting.default('file:.data/vault'),
    /** DNS servers that domains are looked up with, comma-separated (`127.0.0.1:5353`); none means the machine's own. */
    DNS_SERVERS: dnsServersSetting.default([]),
    /** The domain that tenants' SPF records include and MX records point to, as _spf.<domain> and mx.<domain>. */
    MAIL_DOMAIN: z
      .string()
      .regex(/^[a-z0-9.-]+$/, 'is not a domain')
      .default('penguinmails.example'),
    /** Whether tenants' mail servers may be on this machine or in our own networks: for development. */
    ALLOW_INSIDE_MAIL_SERVERS: z.stringbool().default(false),
    REDIS_URL: redisUrl.optional(),
  },
})
