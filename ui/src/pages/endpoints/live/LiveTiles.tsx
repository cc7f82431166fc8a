import { count, plural } from "../../../lib/format";
import { pointsOf, type Point, type Sample } from "./stats";
import { latency, rate, share } from "./words";

interface Props {
  samples: Sample[];
  language: boolean;
}

/** The last ten seconds in numbers. */
export function LiveTiles({ samples, language }: Props) {
  const newest = pointsOf(samples.slice(-8)).pop();
  const point = newest && "requests" in newest ? newest : undefined;
  const flying = samples[samples.length - 1]?.stats.in_flight ?? [];
  return (
    <div className="tiles live-tiles" role="group" aria-label="The last ten seconds">
      <Tile label="Requests" value={point && `${rate(point.requests)}/s`} under="in the last 10 s" />
      <Unanswered point={point} />
      <Tile label="Latency" value={point && times(point.latency_p50)} under={point && under(point.latency_p99)} />
      {language && <Tile label="First token" value={point && times(point.first_p50)} under={point && under(point.first_p99)} />}
      {point?.running !== undefined && <Tile label="Next token" value={times(point.gap_p50)} under={point.gap_p99 === undefined ? "no answer grew" : under(point.gap_p99)} />}
      {language && <Tile label="Tokens out" value={point && `${rate(point.tokens_out)}/s`} under={point && `${rate(point.tokens_in)}/s in`} />}
      {language && <Tile label="Cached" value={point && (point.cached_share === undefined ? "–" : share(point.cached_share))} under="of prompt tokens" />}
      {point?.running !== undefined && <Tile label="Batch" value={`${count(point.running)} of ${count(point.sequences_max ?? 0)}`} under={point.batch_mean === undefined ? "sequences; no batch ran" : `sequences; mean batch ${rate(point.batch_mean)}`} />}
      <Tile label="In flight" value={count(flying.reduce((sum, [, many]) => sum + many, 0))} under={`on ${plural(flying.length, "replica")}`} />
    </div>
  );
}

const times = (p50: number | undefined): string => (p50 === undefined ? "–" : latency(p50));
const under = (p99: number | undefined): string => (p99 === undefined ? "no request ended" : `p50; p99 ${latency(p99)}`);

function Unanswered({ point }: { point: Point | undefined }) {
  if (point === undefined) return <Tile label="Failures" value={undefined} />;
  const bad = point.failed + point.refused;
  const all = point.requests + point.refused;
  const told = [point.failed > 0 && `${rate(point.failed)}/s failed`, point.refused > 0 && `${rate(point.refused)}/s refused`].filter(Boolean).join(", ");
  return <Tile label="Failures" value={all === 0 ? "–" : share(bad / all)} under={told || "none"} bad={bad > 0} />;
}

interface TileProps {
  label: string;
  value: string | undefined;
  under?: string;
  bad?: boolean;
}

function Tile({ label, value, under: below, bad }: TileProps) {
  return (
    <div className="tile">
      <span className="tile-label">{label}</span>
      <span className={`tile-value${bad ? " tone-bad" : ""}`}>{value ?? "–"}</span>
      <span className="tile-under">{value === undefined ? "reading" : below}</span>
    </div>
  );
}
