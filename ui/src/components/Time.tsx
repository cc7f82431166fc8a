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

interface SpanProps {
  from: number | null | undefined;
  to?: number | null;
}

/** The span between two times; it grows while the end is open. */
export function Span({ from, to }: SpanProps) {
  if (from === null || from === undefined) return <span className="faint">–</span>;
  // Only open spans listen to the clock: a page may show a thousand closed ones.
  return to === null || to === undefined ? <OpenSpan from={from} /> : <ClosedSpan from={from} to={to} />;
}

function OpenSpan({ from }: { from: number }) {
  return <ClosedSpan from={from} to={useNow()} />;
}

function ClosedSpan({ from, to }: { from: number; to: number }) {
  return <span className="number" title={`Started ${absolute(from)}`}>{duration(Math.max(0, to - from))}</span>;
}
