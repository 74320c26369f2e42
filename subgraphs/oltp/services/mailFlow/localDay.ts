const formats = new Map<string, Intl.DateTimeFormat>()

/** The day at an instant in a timezone, `2026-11-22`. An unknown timezone counts as UTC. */
export function localDay(at: Date, timezone: string): string {
  return formatFor(timezone).format(at)
}

/** Whether a name is one of IANA's timezones. */
export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-CA', { timeZone: name })
    return true
  } catch {
    return false
  }
}

function formatFor(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone)
  if (known) return known
  // en-CA writes days as ISO 8601 does.
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: isTimezone(timezone) ? timezone : 'UTC',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  formats.set(timezone, format)
  return format
}
