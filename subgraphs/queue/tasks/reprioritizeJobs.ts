import { jobPriority, priorityFilter } from '../engine/prioritySweep.ts'
import { defineSweep } from './sweepTask.ts'

/** Moves many waiting jobs up or down in their queues. */
export const reprioritizeJobs = defineSweep('reprioritizeJobs', priorityFilter, jobPriority)
