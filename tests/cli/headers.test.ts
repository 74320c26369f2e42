import { describe, expect, test } from '@jest/globals'
import { withHeaders } from '../../cli/demo/headers.ts'

describe('a mail gets other headers and keeps its body', () => {
  test('every header of the name is replaced, with its continuation lines, whatever its case', () => {
    const raw = Buffer.from(
      'FROM: a\r\nX-Kept: 1\r\n more\r\nfrom: b\r\n folded\r\nTo: c\r\n\r\nbody\r\n\r\nFrom: body\r\n',
    )
    expect(withHeaders(raw, { From: 'new' }).toString()).toBe(
      'From: new\r\nX-Kept: 1\r\n more\r\nTo: c\r\n\r\nbody\r\n\r\nFrom: body\r\n',
    )
  })

  test('bytes of the body stay as they are, also without carriage returns', () => {
    const body = Buffer.from([0xff, 0x00, 0x0a, 0xe4])
    const out = withHeaders(Buffer.concat([Buffer.from('A: 1\n\n'), body]), { B: '2' })
    expect(out.subarray(-4)).toEqual(body)
  })

  test('a mail that is all headers gets a body of nothing', () => {
    expect(withHeaders(Buffer.from('A: 1'), { B: '2' }).toString()).toBe('B: 2\r\nA: 1\r\n\r\n')
  })
})
