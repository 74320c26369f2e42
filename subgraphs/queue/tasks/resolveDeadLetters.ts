import { letterFilter } from '../engine/letterFilter.ts'
import { letterResolution } from '../engine/letterSweeps.ts'
import { RECORDING_JOB_TYPES } from '../services/tenantJobTypes.ts'
import { defineSweep } from './sweepTask.ts'

export const letterResolutionSweep = letterResolution(RECORDING_JOB_TYPES)

/** Sets many dead letters aside. */
export const resolveDeadLetters = defineSweep('resolveDeadLetters', letterFilter, letterResolutionSweep)
