import { jobRetry, retryFilter } from '../engine/retrySweep.ts'
import { defineSweep } from './sweepTask.ts'

/** Runs many jobs again that failed, were cancelled or expired. */
export const retryJobs = defineSweep('retryJobs', retryFilter, jobRetry)
