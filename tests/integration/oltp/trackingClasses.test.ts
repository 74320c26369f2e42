import { describe, expect, test } from '@jest/globals'
import {
  classifyClick,
  classifyOpen,
  findBursts,
  type HitFacts,
} from '../../../subgraphs/oltp/services/trackingEvents/classifyHit.ts'

const LATER = 3_600

const hit = (userAgent: string | null, changes: Partial<HitFacts> = {}): HitFacts => ({
  ...{ userAgent, ip: '203.0.113.7', isPrefetch: false, secondsSinceSent: LATER },
  ...changes,
})

const PEOPLE = [
  // Apple Mail with its privacy protection off, on a Mac and on a phone.
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
  // Outlook for Windows, Outlook for Mac, Thunderbird, webmail in browsers, an Android mail app.
  'Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; Microsoft Outlook 16.0.5056; ms-office; MSOffice 16)',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14.4) AppleWebKit/605.1.15 (KHTML, like Gecko) Microsoft Outlook 16.83',
  'Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.9.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Linux; Android 13; SM-G991B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/123.0 Mobile Safari/537.36',
]

const PROXIES = [
  'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0 (via ggpht.com GoogleImageProxy)',
  'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html',
  'Mozilla/5.0 (compatible; YandexImageResizer/2.0; +http://yandex.com/bots)',
  // Apple's mail privacy protection says no more than this.
  'Mozilla/5.0',
]

const SCANNERS = [
  'BarracudaCentral.org link checker',
  'Mimecast URL Protect',
  'Mozilla/5.0 (compatible; Proofpoint URL Defense)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com',
  'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36',
  'python-requests/2.31.0',
  'curl/8.5.0',
  'Wget/1.21.4',
  'Go-http-client/1.1',
  'Java/17.0.10',
  'Apache-HttpClient/4.5.14 (Java/11.0.22)',
  'okhttp/4.12.0',
  'axios/1.6.8',
  'node-fetch/1.0 (+https://github.com/bitinn/node-fetch)',
  'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
  'WhatsApp/2.23.20.0',
]

describe('an open', () => {
  test.each(PEOPLE)('is a person’s: %s', (userAgent) => expect(classifyOpen(hit(userAgent))).toBe('human'))
  test.each(PROXIES)('is a proxy’s: %s', (userAgent) => expect(classifyOpen(hit(userAgent))).toBe('proxy'))
  test.each(SCANNERS)('is a scanner’s: %s', (userAgent) => expect(classifyOpen(hit(userAgent))).toBe('scanner'))

  test('by nobody in particular is a scanner’s', () => {
    expect([classifyOpen(hit(null)), classifyOpen(hit('  '))]).toEqual(['scanner', 'scanner'])
  })

  test('from Apple’s network is a proxy’s, whatever it calls itself', () => {
    const [browser = null] = PEOPLE
    expect(classifyOpen(hit(browser, { ip: '17.58.101.2' }))).toBe('proxy')
    expect(classifyOpen(hit(browser, { ip: '::ffff:17.58.101.2' }))).toBe('proxy')
    expect(classifyOpen(hit(browser, { ip: '117.58.101.2' }))).toBe('human')
  })

  test('within seconds of the sending, before it, or ahead of looking is a prefetch', () => {
    const [browser = null] = PEOPLE
    const at = (secondsSinceSent: number | null) => classifyOpen(hit(browser, { secondsSinceSent }))
    expect([at(-2), at(0), at(4.9), at(null)]).toEqual(Array(4).fill('prefetch'))
    expect([at(5), at(60)]).toEqual(['human', 'human'])
    expect(classifyOpen(hit(browser, { isPrefetch: true }))).toBe('prefetch')
  })
})

describe('a click', () => {
  const [browser = null] = PEOPLE
  const click = (userAgent: string | null, changes: Partial<HitFacts & { isBurst: boolean }> = {}) =>
    classifyClick({ ...hit(userAgent), isBurst: false, ...changes })

  test.each(PEOPLE)('is a person’s: %s', (userAgent) => expect(click(userAgent)).toBe('human'))
  test.each([...PROXIES, ...SCANNERS])('is a machine’s: %s', (userAgent) => expect(click(userAgent)).toBe('scanner'))

  test('within seconds of the sending, or of several links at once, is a scanner’s', () => {
    expect(click(browser, { secondsSinceSent: 3 })).toBe('scanner')
    expect(click(browser, { isBurst: true })).toBe('scanner')
    expect(click(browser, { isPrefetch: true })).toBe('prefetch')
  })

  test('from Apple’s network is a person’s: no proxy follows links', () => {
    expect(click(browser, { ip: '17.58.101.2' })).toBe('human')
  })

  test('is in a burst with another link’s within two seconds, not with its own repetition', () => {
    const at = (second: number, linkIndex: number) => ({ linkIndex, occurredAt: new Date(second * 1_000) })
    const [first, again, other, late] = [at(0, 1), at(0.5, 1), at(2, 2), at(60, 3)]
    expect(findBursts([late, other, first, again])).toEqual(new Set([first, again, other]))
    expect(findBursts([first, again, late])).toEqual(new Set())
  })
})
