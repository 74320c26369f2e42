import type { ApolloServerPlugin, BaseContext } from '@apollo/server'
import Negotiator from 'negotiator'

const JSON_TYPE = 'application/json'

/**
 * Who asks for `application/json` by name has errors told in the body: an operation that is refused (does not parse, is
 * not valid) is 200 there, as GraphQL over HTTP recommends, and 400 for everybody else.
 */
export function answerJsonWith200(): ApolloServerPlugin<BaseContext> {
  return {
    async requestDidStart() {
      return {
        async willSendResponse({ request, response: { http } }) {
          const accept = request.http?.headers.get('accept') ?? ''
          if (http.status === 400 && accept.includes(JSON_TYPE) && isAnsweredAs(JSON_TYPE, accept)) http.status = 200
        },
      }
    },
  }
}

/** Of the two types that answers come in. */
function isAnsweredAs(type: string, accept: string): boolean {
  return new Negotiator({ headers: { accept } }).mediaType([JSON_TYPE, 'application/graphql-response+json']) === type
}
