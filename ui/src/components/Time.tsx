import { absolute, ago, duration } from "../lib/format";
import { useNow } from "../lib/now";

/** How long ago, with the exact time as title. */
export function Ago({ at }: { at: number | null | undefined }) {
  const now = useNow();
  if (at === null || at === undefined) return <span className="faint">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={absolute(at)}>
      {ago(at, now)}
    </time>
  );
}

/** The span between two times; it grows while the end is open. */
export function Span({ from, to }: { from: number | null | undefined; to?: number | null }) {
  const now = useNow();
  if (from === null || from === undefined) return <span className="faint">–</span>;
  return <span className="number" title={`Started ${absolute(from)}`}>{duration(Math.max(0, (to ?? now) - from))}</span>;
}
