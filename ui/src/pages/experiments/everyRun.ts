// All runs that a search finds, page by page, for what needs each of them once: groups and downloads.
import { tracking, type RunSearch, type TrackingRun } from "../../api/tracking";

const PAGE = 200;
/** Pages asked for together: the server reads them side by side. */
const AT_ONCE = 3;

/** At most `limit` runs, each once. Runs that start meanwhile move the pages, so one may come twice from the server. */
export async function everyRun(search: RunSearch, limit: number, onPage: (runs: TrackingRun[]) => void, signal: AbortSignal): Promise<boolean> {
  const seen = new Set<string>();
  for (let offset = 0; offset < limit; offset += PAGE * AT_ONCE) {
    const offsets = Array.from({ length: AT_ONCE }, (_, at) => offset + at * PAGE).filter((at) => at < limit);
    const pages = offsets.map((at) => tracking.runs(search, at, Math.min(PAGE, limit - at), signal));
    // Whatever comes of the later ones is looked at below, in their order.
    pages.forEach((page) => page.catch(() => undefined));
    for (const page of pages) {
      const { items, more } = await page;
      onPage(items.filter((run) => !seen.has(run.id)));
      items.forEach((run) => seen.add(run.id));
      if (!more) return true;
    }
  }
  return false;
}
