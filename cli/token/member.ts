import { randomUUID } from 'node:crypto'
import { CALLER_HEADER, signCaller } from '#platform/caller/caller.ts'
import type { ServiceEdge } from '#platform/caller/edges.ts'
import { DEMO_OWNERS, DEMO_TENANTS, type DemoTenant } from '#platform/contracts/demo.ts'
import { postJson } from '#platform/graph/httpPost.ts'
import { CliProblem } from '../commandLine.ts'

const TEAM = `query team($after: String) {
  team(first: 100, after: $after) { nodes { email user { id } } pageInfo { hasNextPage endCursor } }
}`

type Team = { nodes: { email: string; user: { id: string } }[]; pageInfo: { hasNextPage: boolean; endCursor: string } }

/**
 * The id of the tenant's member with that address. A demo tenant's owner is known without asking; anyone else is looked
 * up in the running oltp tier. Null when no address is given for a tenant that is not the demo's.
 * @throws CliProblem when there is no such member, or no running tier to ask
 */
export async function findMemberId(oltp: ServiceEdge, tenantId: string, email: string | null): Promise<string | null> {
  const demo = Object.keys(DEMO_TENANTS).find((name) => DEMO_TENANTS[name as DemoTenant] === tenantId)
  const owner = demo === undefined ? null : DEMO_OWNERS[demo as DemoTenant]
  if (email === null || email.toLowerCase() === owner?.email) return owner?.id ?? null
  for (let after: string | null = null; ; ) {
    const team = await askTeam(oltp, tenantId, after)
    const member = team.nodes.find((node) => node.email.toLowerCase() === email.toLowerCase())
    if (member) return member.user.id
    if (!team.pageInfo.hasNextPage) throw new CliProblem(`the tenant has no member ${email}`)
    after = team.pageInfo.endCursor
  }
}

async function askTeam(oltp: ServiceEdge, tenantId: string, after: string | null): Promise<Team> {
  const caller = { kind: 'user', tenantId, userId: null, roles: ['owner'], requestId: randomUUID() } as const
  const answer = await postJson({
    url: oltp.url,
    headers: { [CALLER_HEADER]: signCaller(caller, oltp) },
    body: JSON.stringify({ query: TEAM, variables: { after } }),
    timeoutMs: 5_000,
  }).catch(() => {
    throw new CliProblem('--user is looked up in the running platform: start it with npm start')
  })
  const { data, errors } = JSON.parse(answer.body)
  if (!data?.team) throw new CliProblem(`the team cannot be read: ${errors?.[0]?.message ?? `status ${answer.status}`}`)
  return data.team
}
