/** The value below which a share of all lies (0.5: the median), between its two neighbours where none is exactly there. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const [below = Number.NaN, above = Number.NaN] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return below + (above - below) * (place - Math.floor(place))
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}
