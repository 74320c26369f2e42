import type { AlertType, Measure } from './alertMeasures.ts'

/** What the words are about. */
export type Described = {
  name: string
  alertType: AlertType
  queueName: string | null
  threshold: number
  windowSeconds: number
}

/** Says in plain words what is wrong and what to look at. */
export function describeFiring(alert: Described, { value, queueName }: Measure): string {
  const { threshold, windowSeconds } = alert
  const of = alert.queueName ? ` of the queue ${alert.queueName}` : ''
  const worst = queueName ?? alert.queueName
  const within = describeSeconds(windowSeconds)
  switch (alert.alertType) {
    case 'high_pending':
      return (
        `${count(value, 'job')}${of} could run and wait${value === 1 ? 's' : ''}, more than ${number(threshold)}` +
        `${alert.queueName || !worst ? '' : `, most of them in ${worst}`}. ` +
        'Look whether workers are at work there, whether a limit of the queue holds jobs back, and who enqueues so much.'
      )
    case 'backlog_age':
      return (
        `The oldest job${worst ? ` in ${worst}` : ''} that could run has waited ${describeSeconds(value)}, longer than ` +
        `${describeSeconds(threshold)}. Look whether a worker serves the queue, and whether a limit of it holds jobs back.`
      )
    case 'slow_processing':
      return (
        `One attempt in twenty${of} took ${number(value)} ms or longer within ${within}, more than ${number(threshold)} ms. ` +
        'Look in jobMetrics for the job type that became slower, and at the tier or server that it asks.'
      )
    case 'high_error_rate':
      return (
        `${percent(value)} of the attempts${of} failed within ${within}, more than ${percent(threshold)}. ` +
        'Look at deadLetterGroups and at the logs of recent jobs for the error that most of them share.'
      )
    case 'worker_offline':
      return (
        `No worker${alert.queueName ? ` that serves the queue ${alert.queueName}` : ''} was heard of for ` +
        `${describeSeconds(value)}, longer than ${describeSeconds(threshold)}. ` +
        'Look whether worker processes run and reach the database.'
      )
    case 'dead_letters':
      return (
        `${count(value, 'job')}${of} given up within ${within} wait${value === 1 ? 's' : ''} for a person, more than ` +
        `${number(threshold)}${alert.queueName || !worst ? '' : `, most of them of ${worst}`}. ` +
        'Look at deadLetterGroups for the cause; when it is gone, replay them.'
      )
  }
}

/** Says that it is over, and how long it was not. */
export function describeEnd({ name }: { name: string }, seconds: number): string {
  return `${name}: back to normal after ${describeSeconds(seconds)}.`
}

/** Seconds in the largest unit that is at most once too coarse: 90 s, 12 min, 5 h, 3 days. */
export function describeSeconds(seconds: number): string {
  if (seconds < 120) return `${number(Math.round(seconds))} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`
}

function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 })
}

function percent(share: number): string {
  return `${number(Math.round(share * 1_000) / 10)} %`
}
