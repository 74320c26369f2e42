/** How a mutation of this tier is made safe to repeat: as in every tier that has mutations. */
export { findAnswer, makeRepeatable, type RepeatableRequest, rememberAnswer } from '#platform/database/idempotency.ts'
