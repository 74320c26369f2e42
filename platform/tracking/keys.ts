import { createHash } from 'node:crypto'
import { z } from 'zod'
import { httpUrl, key32 } from '#platform/config.ts'

/** A key that tracking tokens are signed with, and the byte by which a token names it. */
export type TrackingKey = { kid: number; key: Buffer }

/** The first key signs; all are accepted. */
export type TrackingKeys = readonly [TrackingKey, ...TrackingKey[]]

/** Settings of those who sign tracking tokens and of those who verify them. */
export const trackingKeySettings = {
  /** Signs what stands in mails' links: 32 bytes in base64. Links live as long as it does. */
  TRACKING_KEY: key32,
  /** Keys that signed before, comma-separated: links in mails that went out with them go on working. */
  TRACKING_PREVIOUS_KEYS: z
    .string()
    .default('')
    .transform((text) => text.split(',').filter((key) => key.trim() !== ''))
    .pipe(z.array(key32)),
}

/** Where recipients reach the gateway: links in mails begin with it. */
export const publicUrlSetting = httpUrl.transform((url) => url.replace(/\/+$/, ''))

/** The keys that `trackingKeySettings` read. */
export function trackingKeys(settings: { TRACKING_KEY: Buffer; TRACKING_PREVIOUS_KEYS: Buffer[] }): TrackingKeys {
  return [makeTrackingKey(settings.TRACKING_KEY), ...settings.TRACKING_PREVIOUS_KEYS.map(makeTrackingKey)]
}

/** A key with its name, which is made from it: there is nothing to number, and nothing to number wrongly. */
export function makeTrackingKey(key: Buffer): TrackingKey {
  const kid = createHash('sha256').update('tracking key').update(key).digest().readUInt8(0)
  return { kid, key }
}
