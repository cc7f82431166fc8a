// Which of ten thousand rows are in the document, and which pages of them are asked for.

export const ROW_PX = 34;
export const PAGE = 100;
/** Rows beyond the edges of the box, so that a turn of the wheel finds them drawn. */
const OVERSCAN = 8;
/** The window moves by so many rows at once: a smooth scroll draws seldom. */
const STEP = 5;
/** Rows beyond the edges that are fetched ahead. */
const AHEAD = 40;

/** First row in the document, and the one after the last. */
export function rowWindow(top_px: number, height_px: number, rows: number): [number, number] {
  const first = Math.floor(Math.max(0, top_px) / ROW_PX / STEP) * STEP;
  const last = Math.ceil((Math.max(0, top_px) + height_px) / ROW_PX / STEP) * STEP;
  return [Math.max(0, Math.min(first - OVERSCAN, rows)), Math.min(rows, last + OVERSCAN)];
}

/** Columns beyond the edges of the box. */
const COLUMNS_OVERSCAN = 2;
/** The check box and the name, which are always there. */
export const FIXED_PX = 34 + 230;

/** First column in the document, and the one after the last: a table may have all forty of a run's values. */
export function columnWindow(left_px: number, width_px: number, widths_px: number[]): [number, number] {
  let [at, first, last] = [FIXED_PX, widths_px.length, 0];
  widths_px.forEach((width, index) => {
    // The name stays in sight, and covers what is below it.
    if (at + width > left_px + FIXED_PX && at < left_px + width_px) {
      first = Math.min(first, index);
      last = index + 1;
    }
    at += width;
  });
  return first >= last ? [0, Math.min(widths_px.length, COLUMNS_OVERSCAN)] : [Math.max(0, first - COLUMNS_OVERSCAN), Math.min(widths_px.length, last + COLUMNS_OVERSCAN)];
}

/** The pages that hold the window and what is near it. The first is always there: it tells what columns there are. */
export function pagesOf([first, last]: [number, number], rows: number): number[] {
  const from = Math.floor(Math.max(0, first - AHEAD) / PAGE);
  const to = Math.floor(Math.max(0, Math.min(rows, last + AHEAD) - 1) / PAGE);
  const pages = new Set([0]);
  for (let page = from; page <= to; page += 1) pages.add(page);
  return [...pages];
}

/** Where the box must scroll to for a row to be seen below its head; undefined where it is. */
export function scrollFor(row: number, top_px: number, height_px: number, head_px: number): number | undefined {
  const at = row * ROW_PX;
  if (at < top_px) return at;
  if (at + ROW_PX + head_px > top_px + height_px) return at + ROW_PX + head_px - height_px;
  return undefined;
}

/** Where a key leads from a row. */
export function rowAfter(key: string, row: number, rows: number, perPage: number): number | undefined {
  const to = { ArrowDown: row + 1, ArrowUp: row - 1, PageDown: row + perPage, PageUp: row - perPage, Home: 0, End: rows - 1 }[key];
  return to === undefined || rows === 0 ? undefined : Math.max(0, Math.min(rows - 1, to));
}
