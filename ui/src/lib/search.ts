// The part of an address after `?` as plain text. The router's own way reads `ref=1.0` as the number 1.

/** A name that comes twice counts once, with its last value. */
export const parseSearch = (text: string): Record<string, string> => Object.fromEntries(new URLSearchParams(text));

/** What is empty is left out; a `/` stays readable, since branches and paths are full of them. */
export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value !== undefined && value !== null && value !== "") params.set(key, String(value));
  }
  const text = params.toString().replaceAll("%2F", "/");
  return text === "" ? "" : `?${text}`;
}
