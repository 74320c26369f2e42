import type { PlanNode, QueryPlan } from '@apollo/query-planner'
import type { Fetcher, Step } from '../execution.ts'
import type { TypeTest } from '../typeTests.ts'
import { compileFetch } from './fetchStep.ts'
import type { PlanPath } from './places.ts'

export type PlanSetup<Context> = {
  fetchers: ReadonlyMap<string, Fetcher<Context>>
  typeTest: (type: string) => TypeTest
  isAbstract: TypeTest
}

/** Compiles Apollo's plan of one operation. @throws on a node that is not run here (@defer, subscriptions) */
export function compilePlan<Context>(plan: QueryPlan, setup: PlanSetup<Context>): Step<Context> {
  if (plan.node?.kind === 'Subscription') throw new Error('subscriptions are not run here')
  return plan.node ? compileNode(plan.node, [], setup) : doNothing
}

async function doNothing(): Promise<void> {}

function compileNode<Context>(node: PlanNode, path: PlanPath, setup: PlanSetup<Context>): Step<Context> {
  switch (node.kind) {
    case 'Sequence': {
      const steps = node.nodes.map((inner) => compileNode(inner, path, setup))
      return async (execution) => {
        for (const step of steps) await step(execution)
      }
    }
    case 'Parallel': {
      const steps = node.nodes.map((inner) => compileNode(inner, path, setup))
      return async (execution) => {
        await Promise.all(steps.map((step) => step(execution)))
      }
    }
    case 'Flatten':
      return compileNode(node.node, [...path, ...node.path.map(String)], setup)
    case 'Condition': {
      const { condition } = node
      const whenTrue = node.ifClause ? compileNode(node.ifClause, path, setup) : doNothing
      const whenFalse = node.elseClause ? compileNode(node.elseClause, path, setup) : doNothing
      return (execution) => (execution.variables[condition] === true ? whenTrue(execution) : whenFalse(execution))
    }
    case 'Fetch': {
      const fetch = setup.fetchers.get(node.serviceName)
      if (!fetch) throw new Error(`there is no subgraph ${node.serviceName} to ask`)
      return compileFetch(node, path, { ...setup, fetch })
    }
    case 'Defer':
      throw new Error('@defer is not run here')
  }
}
