// Log text as it can be shown on one line, and searching in it.

// CSI sequences (colours, cursor moves), OSC sequences (titles, links) and single-character escapes.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// Everything else below space except tab.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

const MAX_CHARS = 4000;

/** Without escape codes; of a progress bar drawn with carriage returns, its last drawing. */
export function cleanLine(raw: string): string {
  let text = raw.replace(/[\r\n]+$/, "");
  const redrawn = text.lastIndexOf("\r");
  if (redrawn >= 0) text = text.slice(redrawn + 1);
  text = text.replace(ESCAPES, "").replace(CONTROLS, "");
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)} … (${text.length - MAX_CHARS} more characters)` : text;
}

/** Indexes of the lines that hold the text, whatever its case. */
export function findLines(lines: readonly { text: string }[], wanted: string): number[] {
  const needle = wanted.toLowerCase();
  if (needle === "") return [];
  const found: number[] = [];
  lines.forEach((line, index) => {
    if (line.text.toLowerCase().includes(needle)) found.push(index);
  });
  return found;
}

/** The line cut at every hit: even parts are ordinary, odd parts are hits. */
export function splitHits(text: string, wanted: string): string[] {
  if (wanted === "") return [text];
  const lower = text.toLowerCase();
  const needle = wanted.toLowerCase();
  // Lower-casing can change the length of a text (as of İ); positions would then be wrong.
  if (lower.length !== text.length) return [text];
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    const hit = lower.indexOf(needle, at);
    if (hit < 0) break;
    parts.push(text.slice(at, hit), text.slice(hit, hit + needle.length));
    at = hit + needle.length;
  }
  parts.push(text.slice(at));
  return parts;
}

/** The rows to draw for a scroll position, with some to spare on either side. */
export function visibleRange(scrollTop: number, height: number, rowHeight: number, total: number): [number, number] {
  const spare = 20;
  const first = Math.max(0, Math.min(total, Math.floor(scrollTop / rowHeight) - spare));
  const last = Math.min(total, Math.ceil((scrollTop + height) / rowHeight) + spare);
  return [first, Math.max(first, last)];
}
