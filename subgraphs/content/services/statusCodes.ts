/**
 * Enhanced status codes (RFC 3463; registry: RFC 5248) as outreach reads them. A hard bounce suppresses an address for
 * good, so it takes more than the class 5 of a permanent failure: what failed has to be the address. By subject and
 * detail, the second and third number:
 *
 * | status    | says (RFC 3463)                          | read as                                              |
 * | --------- | ---------------------------------------- | ---------------------------------------------------- |
 * | 4.x.x     | persistent transient failure             | soft                                                 |
 * | 5.0.x     | other, undefined                         | hard: all that is known is that it is permanent      |
 * | 5.1.x     | addressing: no such mailbox, no such host | hard                                                |
 * | 5.2.0–1,4 | mailbox: disabled, list expansion        | hard                                                 |
 * | 5.2.2     | mailbox full                             | soft: it may be emptied                              |
 * | 5.2.3     | message too long for it                  | soft: about the mail                                 |
 * | 5.3.x     | mail system: full, not accepting, too big | soft: about their system                            |
 * | 5.4.x     | network, routing: no answer, no route    | hard, but for 5.4.3, .5, .6, .7 (directory, congestion, loop, expired) |
 * | 5.5.x     | protocol: wrong command                  | soft, but for 5.5.0, which servers say of unknown users |
 * | 5.6.x     | content, media                           | soft: about the mail                                 |
 * | 5.7.x     | security, policy: refused                | soft: about the sender                               |
 */
const SOFT_DESPITE_CLASS_5 = /^5\.(2\.[23]|3\.\d+|4\.[3567]|4\.316|5\.[1-9]\d*|6\.\d+|7\.\d+)$/

/** Whether a failure with this status is for good; without one nobody has said so. */
export function bounceTypeOf(status: string | null): 'hard' | 'soft' {
  return status?.startsWith('5') && !SOFT_DESPITE_CLASS_5.test(status) ? 'hard' : 'soft'
}

/** The first enhanced status in a text, else one made of an SMTP reply code: `550 unknown` is `5.0.0`. */
export function findStatus(text: string | null | undefined): string | null {
  if (!text) return null
  const enhanced = /(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]\d|\d)/.exec(text)
  if (enhanced) return `${enhanced[1]}.${Number(enhanced[2])}.${Number(enhanced[3])}`
  const reply = /(?<![\d.])([45])[0-5]\d(?=[\s-])/.exec(text)
  return reply ? `${reply[1]}.0.0` : null
}
