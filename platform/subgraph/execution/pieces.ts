import type { GraphQLError } from 'graphql'
import type { Settled, Written } from './execution.ts'

/** JSON text in the making, of which parts may come later. */
export class Pieces {
  private text: string
  /** What stands before each part that is to come. */
  private before: string[] | undefined
  private pending: Promise<Settled>[] | undefined

  constructor(start: string) {
    this.text = start
  }

  add(prefix: string, written: string | Promise<Settled>): void {
    if (typeof written === 'string') {
      this.text += prefix + written
      return
    }
    this.before ??= []
    this.pending ??= []
    this.before.push(this.text + prefix)
    this.pending.push(written)
    this.text = ''
  }

  /** The whole once all of it is there, or the first error in it. */
  finish(end: string): Written {
    const { pending, before = [] } = this
    const after = this.text + end
    if (!pending) return after
    const [only] = pending
    if (only && pending.length === 1) {
      return only.then((written) => (typeof written === 'string' ? before[0] + written + after : written))
    }
    return Promise.all(pending).then((settled) => {
      let text = ''
      for (let i = 0; i < settled.length; i += 1) {
        const written = settled[i] as Settled
        if (typeof written !== 'string') return written
        text += before[i] + written
      }
      return text + after
    })
  }

  /** The whole has failed; what has begun comes to its end first. */
  abandon(failure: GraphQLError): Written {
    return this.pending ? Promise.all(this.pending).then(() => failure) : failure
  }
}
