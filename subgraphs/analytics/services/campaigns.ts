import { rate, type Totals } from './aggregates.ts'

type StageName = 'sent' | 'delivered' | 'opened' | 'clicked' | 'replied'
export type Funnel = { stages: { name: StageName; count: number; ofSent: number }[]; asOf: Date }

/** Where a campaign loses people, by its totals. */
export function readFunnel(totals: Totals): Funnel {
  const counts: [StageName, number][] = [
    ['sent', totals.sent],
    ['delivered', totals.delivered],
    ['opened', totals.openedTracked],
    ['clicked', totals.clickedTracked],
    ['replied', totals.replied],
  ]
  const stages = counts.map(([name, count]) => ({ name, count, ofSent: rate(count, totals.sent) }))
  return { stages, asOf: totals.asOf }
}
