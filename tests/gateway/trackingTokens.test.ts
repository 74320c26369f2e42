import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { parseConfig } from '#platform/config.ts'
import { makeTrackingKey, trackingKeySettings, trackingKeys } from '#platform/tracking/keys.ts'
import { clickUrl } from '#platform/tracking/links.ts'
import { MAX_TARGET_BYTES, readToken, signToken, type TrackingToken } from '#platform/tracking/tokens.ts'

const keys = [makeTrackingKey(randomBytes(32))] as const
const mail = { tenantId: uuidv7(), messageId: uuidv7() }
const click = { kind: 'click', ...mail, linkIndex: 3, url: 'https://shop.example/?q=ü&x=1' } as const
const tokens: TrackingToken[] = [{ kind: 'open', ...mail }, { kind: 'unsubscribe', ...mail }, click]

describe('a tracking token', () => {
  test.each(tokens)('of kind $kind says what was signed, and is short', (token) => {
    const text = signToken(token, keys)
    expect(readToken(text, token.kind, keys)).toEqual(token)
    expect(text).toMatch(/^[\w-]+$/)
    if (token.kind !== 'click') expect(text).toHaveLength(67)
  })

  test('of one kind is none of another', () => {
    for (const token of tokens) {
      for (const kind of ['open', 'click', 'unsubscribe'] as const) {
        expect(readToken(signToken(token, keys), kind, keys) !== null).toBe(kind === token.kind)
      }
    }
  })

  test('with any bit changed, cut off, lengthened or spelled otherwise is none', () => {
    for (const token of tokens) {
      const text = signToken(token, keys)
      const bytes = Buffer.from(text, 'base64url')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        expect(readToken(changed.toString('base64url'), token.kind, keys)).toBeNull()
      }
      for (const wrong of [text.slice(0, -1), `${text}A`, `${text}=`, ` ${text}`, `${text}/`, text.slice(0, 20), '']) {
        expect(readToken(wrong, token.kind, keys)).toBeNull()
      }
    }
  })

  test('is never made of anything else', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 4_000 }), (text) => expect(readToken(text, 'click', keys)).toBeNull()),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 50, maxLength: 2_000 }), (bytes) =>
        expect(readToken(Buffer.from(bytes).toString('base64url'), 'open', keys)).toBeNull(),
      ),
      { numRuns: 500 },
    )
  })
})

describe('its key', () => {
  test('can be replaced: what was signed before goes on working, what another signed never does', () => {
    const [old, fresh, foreign] = [randomBytes(32), randomBytes(32), randomBytes(32)]
    const before = signToken(click, [makeTrackingKey(old)])
    const rotated = [makeTrackingKey(fresh), makeTrackingKey(old)] as const
    expect(readToken(before, 'click', rotated)).toEqual(click)
    expect(readToken(signToken(click, rotated), 'click', [makeTrackingKey(fresh)])).toEqual(click)
    expect(readToken(signToken(click, [makeTrackingKey(foreign)]), 'click', rotated)).toBeNull()
    // Also when both happen to have the same name.
    const namesake = { kid: rotated[0].kid, key: foreign }
    expect(readToken(signToken(click, [namesake]), 'click', rotated)).toBeNull()
  })

  test('is 32 bytes in base64, and so are those before it', () => {
    const [key, previous] = [randomBytes(32), randomBytes(32)]
    const read = (env: Record<string, string>) => trackingKeys(parseConfig(z.object(trackingKeySettings), env))
    const TRACKING_KEY = key.toString('base64')
    expect(read({ TRACKING_KEY })).toEqual([makeTrackingKey(key)])
    const both = { TRACKING_KEY, TRACKING_PREVIOUS_KEYS: `${previous.toString('base64')}, ` }
    expect(read(both)).toEqual([makeTrackingKey(key), makeTrackingKey(previous)])
    expect(() => read({ TRACKING_KEY: 'short' })).toThrow('TRACKING_KEY: is not 32 bytes in base64')
    expect(() => read({ TRACKING_KEY, TRACKING_PREVIOUS_KEYS: 'short' })).toThrow('TRACKING_PREVIOUS_KEYS')
    expect(() => read({})).toThrow('TRACKING_KEY: is not set')
  })
})

describe('a link', () => {
  const options = { publicUrl: 'https://mail.example', keys }
  const targetOf = (href: string) => {
    const url = clickUrl(mail, { href, linkIndex: 0 }, options)
    return url && readToken(url.slice('https://mail.example/t/c/'.length), 'click', keys)?.url
  }

  test('leads to a web address in ASCII, and to nothing else', () => {
    expect(targetOf('https://München.example/Straße?ä#ö')).toBe(
      'https://xn--mnchen-3ya.example/Stra%C3%9Fe?%C3%A4#%C3%B6',
    )
    expect(targetOf(' HTTP://x.example\n/a ')).toBe('http://x.example/a')
    for (const href of [
      'javascript:alert(1)',
      '/relative',
      '//x.example',
      'mailto:a@b.example',
      'https://',
      'ftp://x',
      '',
    ]) {
      expect(targetOf(href)).toBeNull()
    }
  })

  test('that is too long is left as it is', () => {
    const longest = `https://x.example/${'a'.repeat(MAX_TARGET_BYTES - 18)}`
    expect(targetOf(longest)).toBe(longest)
    expect(targetOf(`${longest}a`)).toBeNull()
  })
})
