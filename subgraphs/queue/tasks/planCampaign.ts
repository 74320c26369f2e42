import { planDuePayload } from '#platform/contracts/sending.ts'
import { defineTask } from './services.ts'

const PLAN = `mutation PlanCampaignSends($input: PlanCampaignSendsInput!) {
  planCampaignSends(input: $input) { planned ended nextPlanAt cursor }
}`

type Answer = {
  planCampaignSends: { planned: number; ended: number; nextPlanAt: string | null; cursor: string | null }
}

/** A batch renders and stores hundreds of mails; milliseconds. */
const TIMEOUT_MS = 120_000

/** Plans all that a campaign has due, batch by batch. */
export const planCampaign = defineTask({
  jobType: 'planCampaign',
  queueName: 'email-sending',
  payload: planDuePayload,
  concurrency: 2,
  async run([item], { services, signal, report }) {
    if (!item) return []
    const { job, payload } = item
    const input = { tenantId: job.tenantId, campaignId: payload.plannedCampaignId }
    let planned = 0
    let ended = 0
    let cursor: string | null = null
    do {
      const variables = { input: { ...input, cursor } }
      const answer: Answer = await services.oltp.request(PLAN, variables, { timeoutMs: TIMEOUT_MS })
      planned += answer.planCampaignSends.planned
      ended += answer.planCampaignSends.ended
      cursor = answer.planCampaignSends.cursor
      report(job, cursor === null ? 100 : 50, `${planned} planned`)
    } while (cursor !== null && !signal.aborted)
    return [{ kind: 'completed', result: { planned, ended } }]
  },
})
