// Runs in the browser. Everything it needs is in the bundle or on the gateway: it asks no other host.
import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit'
import { GraphiQL } from 'graphiql'
import { getOperationAST } from 'graphql'
import { createClient, type RequestParams } from 'graphql-sse'
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import 'graphiql/style.css'

const WORKERS = new Set(['graphql', 'json'])
/** Where the editor finds its workers. */
const MonacoEnvironment = {
  getWorker: (_id: string, label: string) =>
    new Worker(`/explorer/${WORKERS.has(label) ? label : 'editor'}.worker.js`, { type: 'module' }),
}
Object.assign(globalThis, { MonacoEnvironment })

/** The token is in the fragment of the address, which no browser sends: `/explorer#token=…`. */
function readToken(): string | null {
  const token = new URLSearchParams(window.location.hash.slice(1)).get('token')
  if (token) window.history.replaceState(null, '', window.location.pathname)
  return token
}

async function findExamples(): Promise<string[]> {
  const answer = await fetch('/explorer/operations.json')
  const { operations } = (await answer.json()) as { operations: { body: string }[] }
  return operations.map(({ body }) => body)
}

const answer = createGraphiQLFetcher({ url: '/graphql' })

/** Queries and mutations are answered once, subscriptions by a stream of events. */
const fetcher: Fetcher = (asked, options) => {
  const operation = options?.documentAST && getOperationAST(options.documentAST, asked.operationName)
  if (operation?.operation !== 'subscription') return answer(asked, options)
  const client = createClient({ url: '/graphql/stream', headers: { ...options?.headers } })
  return client.iterate(asked as RequestParams)
}

const token = readToken()
const headers = JSON.stringify(
  { authorization: `Bearer ${token ?? 'put a token here: npm run -s token -- --tenant demo --role owner'}` },
  null,
  2,
)
const examples = await findExamples()

/** Online there is Apollo's Sandbox too, which brings its own scripts from Apollo. */
const sandboxUrl = `https://studio.apollographql.com/sandbox/explorer?endpoint=${encodeURIComponent(`${window.location.origin}/graphql`)}`
const logo = createElement(
  GraphiQL.Logo,
  null,
  createElement(
    'a',
    { href: sandboxUrl, rel: 'noreferrer', target: '_blank' },
    'PenguinMails · open in Apollo Sandbox',
  ),
)

createRoot(document.getElementById('root') as HTMLElement).render(
  createElement(
    GraphiQL,
    {
      fetcher,
      defaultHeaders: headers,
      ...(token && { initialHeaders: headers }),
      defaultTabs: examples.map((query) => ({ query, headers })),
      shouldPersistHeaders: false,
    },
    logo,
  ),
)
