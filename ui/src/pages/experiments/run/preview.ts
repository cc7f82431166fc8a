// What the beginning of a stored file can be shown as. HTML and SVG are text here: a run stores what anybody wrote.
import type { Head } from "../../../api/artifacts";

export const HEAD_BYTES = 1024 * 1024;
/** More text than anybody reads, and all that the browser lays out without a pause. */
const TEXT_MAX = 256 * 1024;

export type ArtifactPreview =
  | { kind: "text"; text: string; whole: boolean }
  | { kind: "empty" }
  | { kind: "none" };

/** Files that the server shows as tables, rows page by page. */
export const isTable = (path: string): boolean => /\.(parquet|csv|tsv|tab|psv|jsonl|ndjson)$/i.test(path);

export function previewOf(path: string, { bytes, whole }: Head): ArtifactPreview {
  if (bytes.length === 0) return { kind: "empty" };
  const text = textOf(bytes, whole);
  if (text === undefined) return { kind: "none" };
  if (/\.json$/i.test(path) && whole && text.length <= TEXT_MAX) return { kind: "text", text: indented(text), whole };
  return { kind: "text", text: text.slice(0, TEXT_MAX), whole: whole && text.length <= TEXT_MAX };
}

/** Undefined where it is no text: it has a null character, or is no UTF-8. A last character may be cut. */
function textOf(bytes: Uint8Array, whole: boolean): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !whole });
  } catch {
    return undefined;
  }
}

function indented(text: string): string {
  try {
    // Numbers with more digits than a double has would come out changed.
    return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
