import type { EmailEventPayload } from '#platform/contracts/emailEvent.ts'

/** Who seems to have asked: a person, a program that fetches for one, one that fetches ahead, or one that checks mail. */
export type OpenClass = NonNullable<EmailEventPayload['openClass']>

/** What is known of a request for a mail's pixel or link. */
export type HitFacts = {
  userAgent: string | null
  ip: string | null
  /** The request said itself that nobody looks yet. */
  isPrefetch: boolean
  /** Since the mail was handed over; negative before, null while we don't know that it was. */
  secondsSinceSent: number | null
}

/** Nobody reads a mail this soon; what fetches its pictures then is a machine that received it. */
const TOO_SOON_SECONDS = 5

/** Links of one mail followed within these seconds are no person's doing. */
const BURST_SECONDS = 2

/** Mail filters, link checkers and programs that are no browser. */
const SCANNERS =
  /barracuda|mimecast|proofpoint|urldefense|messagelabs|symantec|trendmicro|trend micro|sophos|ironport|fireeye|fortiguard|fortimail|mailscanner|spamassassin|cloudmark|vade ?secure|zscaler|checkpoint|bitdefender|kaspersky|avast|google-?safety|safebrowsing|bingpreview|skypeuripreview|slackbot|linkedinbot|twitterbot|facebookexternalhit|whatsapp|telegrambot|discordbot|headlesschrome|phantomjs|puppeteer|playwright|selenium|\bbot\b|bot[/;)]|spider|crawl|scan(ner|ning)|monitor|python|aiohttp|curl\/|wget\/|go-http-client|java\/|jakarta|apache-httpclient|okhttp|axios|node-fetch|undici|libwww-perl|winhttp|ruby|php\/|guzzle|postman|httpclient/i

/** Providers that fetch pictures in place of their users. */
const PROXIES =
  /googleimageproxy|ggpht\.com|yahoomailproxy|yahoo ?mail ?proxy|yandeximageresizer|mail\.ru.*proxy|imageproxy/i

/** All that Apple's mail privacy protection says of itself. */
const APPLE_PROXY = 'Mozilla/5.0'

/** Apple's own network: its proxies, not its users. */
const APPLE_NETWORK = /^(::ffff:)?17\./

/**
 * Judges an open. A proxy may have asked for a person or ahead of one: nobody can tell.
 */
export function classifyOpen(hit: HitFacts): OpenClass {
  const userAgent = hit.userAgent?.trim() ?? ''
  if (PROXIES.test(userAgent) || userAgent === APPLE_PROXY || APPLE_NETWORK.test(hit.ip ?? '')) return 'proxy'
  if (userAgent === '' || SCANNERS.test(userAgent)) return 'scanner'
  return hit.isPrefetch || isTooSoon(hit) ? 'prefetch' : 'human'
}

/** Judges a click: no proxy follows links for people, so whatever is no person is a scanner or fetches ahead. */
export function classifyClick(hit: HitFacts & { isBurst: boolean }): OpenClass {
  const userAgent = hit.userAgent?.trim() ?? ''
  if (userAgent === '' || userAgent === APPLE_PROXY || SCANNERS.test(userAgent) || PROXIES.test(userAgent))
    return 'scanner'
  if (hit.isPrefetch) return 'prefetch'
  return hit.isBurst || isTooSoon(hit) ? 'scanner' : 'human'
}

/** Of clicks on one mail, those that followed another link of it within two seconds of another. */
export function findBursts<Click extends { linkIndex?: number | null; occurredAt: Date }>(
  clicks: readonly Click[],
): Set<Click> {
  const bursts = new Set<Click>()
  const ordered = [...clicks].sort((a, b) => a.occurredAt.getTime() - b.occurredAt.getTime())
  for (const [index, click] of ordered.entries()) {
    for (const next of ordered.slice(index + 1)) {
      if (next.occurredAt.getTime() - click.occurredAt.getTime() > BURST_SECONDS * 1000) break
      if (next.linkIndex === click.linkIndex) continue
      bursts.add(click)
      bursts.add(next)
    }
  }
  return bursts
}

function isTooSoon({ secondsSinceSent }: HitFacts): boolean {
  return secondsSinceSent === null || secondsSinceSent < TOO_SOON_SECONDS
}
