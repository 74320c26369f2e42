import { letterFilter } from '../engine/letterFilter.ts'
import { letterReplay } from '../engine/letterSweeps.ts'
import { defineSweep } from './sweepTask.ts'

/** Runs the jobs behind many dead letters again. */
export const replayDeadLetters = defineSweep('replayDeadLetters', letterFilter, letterReplay)
