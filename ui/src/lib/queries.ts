// The query client: what is retried, what counts as lost, what signs out.
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, asApiError } from "../api/errors";
import { report } from "./connection";

export const SESSION = ["session"] as const;

const MAX_RETRIES = 2;

function failed(client: QueryClient, thrown: unknown): void {
  const error = asApiError(thrown);
  if (error.unreachable) report(false);
  else if (error.status > 0) report(true);
  if (error.signedOut) client.setQueryData(SESSION, null);
}

export function makeQueryClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError: (error) => failed(client, error), onSuccess: () => report(true) }),
    mutationCache: new MutationCache({ onError: (error) => failed(client, error) }),
    defaultOptions: {
      queries: {
        // The server is most often on this machine: a missing network says nothing about it.
        networkMode: "always",
        staleTime: 1000,
        retry: (times, error) => times < MAX_RETRIES && error instanceof ApiError && error.report.retryable && !error.unreachable,
      },
      mutations: { networkMode: "always", retry: false },
    },
  });
  return client;
}
