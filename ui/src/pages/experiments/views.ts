// Saved views of an experiment: what the table shows, under a name, kept as a tag of the experiment so that a team shares it.

/** What stands in the address and makes up a view. */
export interface ViewState {
  q?: string;
  cols?: string;
  sort?: string;
  group?: string;
  stage?: string;
}

export interface SavedView {
  name: string;
  state: ViewState;
}

const PREFIX = "corliss.view.";
const PARTS = ["q", "cols", "sort", "group", "stage"] as const;
/** What the server lets a tag hold. */
const LENGTH_MAX = 20_000;

/** A name becomes part of a tag's, which has these characters; one without a dot or slash is no path either. */
export const validName = (name: string): boolean => /^[\p{L}\p{N}_: -]{1,60}$/u.test(name) && name.trim() === name;

export const tagOf = (name: string): string => `${PREFIX}${name}`;

export function viewsOf(tags: Map<string, string>): SavedView[] {
  const found: SavedView[] = [];
  for (const [key, value] of tags) {
    if (!key.startsWith(PREFIX)) continue;
    const state = parsed(value);
    if (state) found.push({ name: key.slice(PREFIX.length), state });
  }
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

/** Anybody may write such a tag: what is no view is left out, and so is what a view has not. */
function parsed(value: string): ViewState | undefined {
  try {
    const read: unknown = JSON.parse(value);
    if (typeof read !== "object" || read === null || Array.isArray(read)) return undefined;
    return partsOf(read as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

/** The parts of an address that make up a view. */
export function partsOf(search: Record<string, unknown>): ViewState {
  const state: ViewState = {};
  for (const part of PARTS) {
    const value = search[part];
    if (typeof value === "string" && value !== "") state[part] = value;
  }
  return state;
}

/** The tag's value; undefined where it is longer than the server takes. */
export function written(state: ViewState): string | undefined {
  const value = JSON.stringify(partsOf({ ...state }));
  return value.length > LENGTH_MAX ? undefined : value;
}

export const sameView = (a: ViewState, b: ViewState): boolean => PARTS.every((part) => (a[part] ?? "") === (b[part] ?? ""));

/** For a link: what the view has not is taken out of the address. */
export const asSearch = (view: SavedView | undefined): Record<string, string | undefined> =>
  ({ ...Object.fromEntries(PARTS.map((part) => [part, view?.state[part]])), view: view?.name });
