// The sign-in link of the terminal carries the token in the fragment, which browsers do not send to servers.

/** The token of `#token=…`, or undefined. */
export function tokenIn(fragment: string): string | undefined {
  const token = new URLSearchParams(fragment.replace(/^#/, "")).get("token");
  return token === null || token.trim() === "" ? undefined : token.trim();
}

/** Takes the token out of the address and out of the history entry, so that it is not left behind. */
export function takeToken(): string | undefined {
  const token = tokenIn(window.location.hash);
  if (token !== undefined) window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  return token;
}
