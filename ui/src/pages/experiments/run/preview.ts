// What the beginning of a stored file can be shown as. HTML and SVG are text here: a run stores what anybody wrote.
import type { Head } from "../../../api/artifacts";
import { parseCsv, separatorOf } from "../../../lib/csv";

export const HEAD_BYTES = 1024 * 1024;
const ROWS_MAX = 1000;
/** More text than anybody reads, and all that the browser lays out without a pause. */
const TEXT_MAX = 256 * 1024;

export type ArtifactPreview =
  | { kind: "table"; columns: string[]; rows: string[][]; whole: boolean }
  | { kind: "text"; text: string; whole: boolean }
  | { kind: "empty" }
  | { kind: "none"; reason?: string };

export function previewOf(path: string, { bytes, whole }: Head): ArtifactPreview {
  if (bytes.length === 0) return { kind: "empty" };
  if (/\.parquet$/i.test(path)) return { kind: "none", reason: "Parquet is read by the server, which does that for datasets and not for artifacts." };
  const text = textOf(bytes, whole);
  if (text === undefined) return { kind: "none" };
  if (/\.(csv|tsv)$/i.test(path)) {
    const [columns = [], ...rows] = parseCsv(whole ? text : text.slice(0, text.lastIndexOf("\n") + 1), /\.tsv$/i.test(path) ? "\t" : separatorOf(text), ROWS_MAX + 2);
    if (columns.length > 0) return { kind: "table", columns, rows: rows.slice(0, ROWS_MAX), whole: whole && rows.length <= ROWS_MAX };
  }
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
