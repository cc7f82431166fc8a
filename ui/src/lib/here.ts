// Links to this same page with something else after the `?`, for lists of thousands: a link of the router's own
// listens to every change of the address, which such a list has no time for.
import { useRouter, useRouterState } from "@tanstack/react-router";
import { useCallback, type MouseEvent } from "react";
import { parseSearch, stringifySearch } from "./search";

export interface Here {
  /** The address with these words after the `?`; undefined takes one away. */
  href: (change: Record<string, string | undefined>) => string;
  /** For `onClick` of a link with such an address: goes there without loading the page anew. */
  go: (event: MouseEvent<HTMLAnchorElement>) => void;
}

export function useHere(): Here {
  const router = useRouter();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const search = useRouterState({ select: (state) => state.location.searchStr });
  const href = useCallback((change: Record<string, string | undefined>) => `${path}${stringifySearch({ ...parseSearch(search), ...change })}`, [path, search]);
  const go = useCallback((event: MouseEvent<HTMLAnchorElement>): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    router.history.push(event.currentTarget.getAttribute("href") ?? path);
  }, [router, path]);
  return { href, go };
}
