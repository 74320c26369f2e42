import { ApolloServer, type ApolloServerPlugin } from '@apollo/server'
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled'
import { ApolloServerPluginInlineTrace } from '@apollo/server/plugin/inlineTrace'
import type { GraphQLSchema } from 'graphql'
import { formatError, logUnforeseen } from './errorFormatter.ts'
import { answerJsonWith200 } from './jsonStatus.ts'
import type { SubgraphContext } from './subgraph.ts'

/** Apollo Server over the same schema, for what only its plugins and GraphQL.js do: traces of every resolver, and GET. */
export async function startApolloFace(schema: GraphQLSchema): Promise<ApolloServer<SubgraphContext>> {
  const apollo = new ApolloServer<SubgraphContext>({
    schema,
    formatError,
    includeStacktraceInErrorResponses: false,
    introspection: true,
    stopOnTerminationSignals: false,
    plugins: [
      // What may be kept is the gateway's to know, from the schema.
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTrace(),
      ApolloServerPluginLandingPageDisabled(),
      // It is the gateway that reports, whatever key is in the environment.
      ApolloServerPluginUsageReportingDisabled(),
      answerJsonWith200(),
      logUnforeseenErrors(),
    ],
  })
  await apollo.start()
  return apollo
}

function logUnforeseenErrors(): ApolloServerPlugin<SubgraphContext> {
  return {
    async requestDidStart() {
      return {
        async didEncounterErrors({ errors, contextValue, operationName }) {
          for (const error of errors) logUnforeseen(error, contextValue.log, operationName)
        },
      }
    },
  }
}
