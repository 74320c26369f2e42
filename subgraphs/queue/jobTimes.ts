import type { Metric, Registry } from 'prom-client'

export type JobType = { queueName: string; jobType: string }

type Shape = { name: string; help: string /** Upper bounds in seconds, ascending. */; buckets: readonly number[] }
type Line = { metricName: string; labels: Record<string, string | number>; value: number }

/** How often something of one job type took how long. */
export class TimeSeries {
  sum = 0
  /** One for each bucket, and one for what is above them all; not cumulative. */
  readonly counts: number[]
  readonly #buckets: readonly number[]

  constructor(buckets: readonly number[]) {
    this.#buckets = buckets
    this.counts = new Array<number>(buckets.length + 1).fill(0)
  }

  observe(seconds: number): void {
    this.sum += seconds
    let bucket = 0
    while (bucket < this.#buckets.length && seconds > (this.#buckets[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + 1
  }
}

/**
 * A Prometheus histogram with a series for each job type. prom-client's own looks up its labels at every observation,
 * which costs a microsecond each; whoever has a series here adds to it directly, and it is written out when asked for.
 */
export class JobTimes {
  readonly #shape: Shape
  readonly #series = new Map<JobType, TimeSeries>()

  constructor(registry: Registry, shape: Shape) {
    this.#shape = shape
    const { name, help } = shape
    const metric = {
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      get: async () => ({ ...metric, values: this.#lines() }),
    }
    registry.registerMetric(metric as unknown as Metric)
  }

  /** A new series; ask once for each job type. */
  addSeries(jobType: JobType): TimeSeries {
    const series = new TimeSeries(this.#shape.buckets)
    this.#series.set(jobType, series)
    return series
  }

  #lines(): Line[] {
    const { name, buckets } = this.#shape
    return [...this.#series].flatMap(([{ queueName, jobType }, { counts, sum }]) => {
      const labels = { queue: queueName, type: jobType }
      let total = 0
      const lines: Line[] = counts.map((count, index) => {
        total += count
        return { metricName: `${name}_bucket`, labels: { le: buckets[index] ?? '+Inf', ...labels }, value: total }
      })
      return [
        ...lines,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: total },
      ]
    })
  }
}
