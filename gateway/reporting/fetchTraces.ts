import type { FetchNode, PlanNode, QueryPlan } from '@apollo/query-planner'
import { Trace } from '@apollo/usage-reporting-protobuf'

/** The header by which a tier is asked to tell how long each of its resolvers took. */
export const TRACE_REQUEST = { 'apollo-federation-include-trace': 'ftv1' }

const { QueryPlanNode } = Trace

/** What one request learns of its fetches, told as Apollo's usage reports want it. */
export class FetchTraces {
  readonly #fetches = new Map<FetchNode, Trace.QueryPlanNode.FetchNode>()
  readonly #begun: bigint

  /** @param begun when the request began, in nanoseconds of `process.hrtime` */
  constructor(begun: bigint) {
    this.#begun = begun
  }

  /** A fetch is sent off; give what it calls back the answer's `extensions`. */
  begin(node: FetchNode): (extensions: unknown) => void {
    const fetch = new QueryPlanNode.FetchNode({
      serviceName: node.serviceName,
      sentTimeOffset: Number(process.hrtime.bigint() - this.#begun),
      sentTime: timestampNow(),
    })
    this.#fetches.set(node, fetch)
    return (extensions) => {
      fetch.receivedTime = timestampNow()
      const { ftv1 } = (extensions ?? {}) as { ftv1?: unknown }
      if (typeof ftv1 !== 'string') return
      try {
        fetch.trace = Trace.decode(Buffer.from(ftv1, 'base64'))
      } catch {
        fetch.traceParsingFailed = true
      }
    }
  }

  /** Whether a tier has told of its own errors. */
  has(serviceName: string): boolean {
    return [...this.#fetches.values()].some((fetch) => fetch.serviceName === serviceName && fetch.trace)
  }

  /** The plan that was run, with what was learnt of each of its fetches. */
  traceOf({ node }: QueryPlan): Trace.QueryPlanNode | undefined {
    return node && node.kind !== 'Subscription' ? this.#describe(node) : undefined
  }

  #describe(node: PlanNode | undefined): Trace.QueryPlanNode | undefined {
    switch (node?.kind) {
      case 'Sequence':
        return new QueryPlanNode({ sequence: { nodes: this.#describeAll(node.nodes) } })
      case 'Parallel':
        return new QueryPlanNode({ parallel: { nodes: this.#describeAll(node.nodes) } })
      case 'Flatten': {
        const responsePath = node.path.map((key) => (typeof key === 'number' ? { index: key } : { fieldName: key }))
        return new QueryPlanNode({ flatten: { responsePath, node: this.#describe(node.node) } })
      }
      case 'Fetch': {
        const known = this.#fetches.get(node)
        return new QueryPlanNode({ fetch: known ?? { serviceName: node.serviceName } })
      }
      // Conditions are decided before planning, and there is nothing else.
      default:
        return undefined
    }
  }

  #describeAll(nodes: readonly PlanNode[]): Trace.QueryPlanNode[] {
    return nodes.flatMap((node) => this.#describe(node) ?? [])
  }
}

function timestampNow() {
  const milliseconds = Date.now()
  return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1_000_000 }
}
