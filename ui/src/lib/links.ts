// Web addresses in a line of text, as links.
import { placeOf } from "./clientLink";

export interface TextPart {
  text: string;
  link?: { href: string; /** A page of the console, to be opened without loading it anew. */ here?: boolean; away?: boolean };
}

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/g;
// What ends a sentence or closes a bracket around the address is not part of it.
const TRAILING = /[.,;:!?*\]}]+$/;

/** The text in order, its addresses linked. `origin` is the console's own. */
export function textParts(text: string, origin: string): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const shown = trimmed(found[0]);
    const link = linkOf(shown, origin);
    if (!link) continue;
    if (found.index > at) parts.push({ text: text.slice(at, found.index) });
    parts.push({ text: shown, link });
    at = found.index + shown.length;
  }
  if (at < text.length || parts.length === 0) parts.push({ text: text.slice(at) });
  return parts;
}

function trimmed(address: string): string {
  const short = address.replace(TRAILING, "");
  return short.endsWith(")") && !short.includes("(") ? trimmed(short.slice(0, -1)) : short;
}

function linkOf(text: string, origin: string): TextPart["link"] {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.origin !== origin) return { href: url.href, away: true };
  const place = placeOf(url.hash);
  if (place !== undefined) return { href: place, here: true };
  // A fragment may sign in as someone else; a log line must not do that at a click.
  return url.hash === "" ? { href: url.pathname + url.search } : undefined;
}
