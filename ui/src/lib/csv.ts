// Comma-separated values, as RFC 4180 has them: what is downloaded is written, what is previewed is read.

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const toCsv = (rows: string[][]): string => rows.map((row) => `${row.map(quoted).join(",")}\r\n`).join("");

/** The separator that the first line has most of; a comma where it has none. */
export function separatorOf(text: string): string {
  const line = text.split("\n", 1)[0] ?? "";
  const counts = [",", "\t", ";", "|"].map((mark) => ({ mark, many: line.split(mark).length }));
  return counts.reduce((best, one) => (one.many > best.many ? one : best)).mark;
}

/** At most `limit` rows. A quote that never closes takes in the rest, as other readers do. */
export function parseCsv(text: string, separator: string, limit: number): string[][] {
  const rows: string[][] = [];
  let [row, cell, inQuotes, at] = [[] as string[], "", false, 0];
  const endRow = (): void => {
    row.push(cell);
    // An empty line is no row.
    if (row.length > 1 || cell !== "") rows.push(row);
    [row, cell] = [[], ""];
  };
  for (; at < text.length && rows.length < limit; at += 1) {
    const mark = text[at] as string;
    if (inQuotes) {
      if (mark !== '"') cell += mark;
      else if (text[at + 1] === '"') { cell += mark; at += 1; }
      else inQuotes = false;
    } else if (mark === '"' && cell === "") inQuotes = true;
    else if (mark === separator) { row.push(cell); cell = ""; }
    else if (mark === "\n") endRow();
    else if (mark !== "\r" || text[at + 1] !== "\n") cell += mark;
  }
  if (rows.length < limit && (cell !== "" || row.length > 0)) endRow();
  return rows;
}
