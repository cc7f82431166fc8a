import { lazy, Suspense, useMemo } from "react";
import type { LiveLine } from "../../../components/chart/LiveChart";
import { looksOf, type Look } from "../../../components/chart/palette";
import { shortId } from "../../../lib/format";
import { inFlightOf, pointsOf, type Point, type Sample } from "./stats";
import { latency, rate, share, tick } from "./words";

// The chart library is fetched while the first counters are read.
const LiveChart = lazy(async () => ({ default: (await import("../../../components/chart/LiveChart")).LiveChart }));

/** Told apart by their dashes too. */
const SOLID: Look = { colour: "--run-1", dash: [] };
const DASHED: Look = { colour: "--run-4", dash: [6, 4] };
const DOTTED: Look = { colour: "--run-5", dash: [2, 3] };
const LONG: Look = { colour: "--run-2", dash: [10, 4] };

type Value = Exclude<keyof Point, "at">;

interface Props {
  name: string;
  samples: Sample[];
  language: boolean;
}

export function LiveCharts({ name, samples, language }: Props) {
  const points = useMemo(() => pointsOf(samples), [samples]);
  const at = useMemo(() => points.map((one) => one.at), [points]);
  const line = (key: Value, label: string, look: Look): LiveLine => ({ id: key, name: label, look, values: points.map((point) => ("requests" in point ? point[key] : undefined)) });
  // Only what a chart shows is made anew, and only where something was read.
  const lines = useMemo(() => ({
    requests: [line("requests", "ended", SOLID)],
    unanswered: [line("failed", "failed", SOLID), line("refused", "refused", DASHED), line("invalid", "invalid", DOTTED), line("cancelled", "cancelled", LONG)],
    latency: [line("latency_p50", "p50", SOLID), line("latency_p99", "p99", DASHED)],
    first: [line("first_p50", "p50", SOLID), line("first_p99", "p99", DASHED)],
    tokens: [line("tokens_out", "out", SOLID), line("tokens_in", "in", DASHED)],
    cached: [line("cached_share", "of prompts", SOLID)],
    gaps: [line("gap_p50", "p50", SOLID), line("gap_p99", "p99", DASHED)],
    batches: [line("running", "running", SOLID), line("batch_mean", "mean batch", DASHED), line("sequences_max", "possible", DOTTED)],
  }), [points]);
  const flying = useMemo(() => replicaLines(samples), [samples]);
  const shared = { sync: `live ${name}` };
  // A service elsewhere keeps to itself how it computes.
  const engines = language && samples.some(({ stats }) => stats.engines.length > 0);
  return (
    <Suspense fallback={<div className="charts live-charts" aria-busy="true">{Array.from({ length: 4 + (language ? 3 : 0) + (engines ? 2 : 0) }, (_, index) => <div key={index} className="chart-box waiting" />)}</div>}>
      <div className="charts live-charts">
        <LiveChart {...shared} name="Requests per second" at={at} lines={lines.requests} text={rate} least={1} none="Reading" />
        <LiveChart {...shared} name="Not answered per second" at={at} lines={lines.unanswered} text={rate} least={1} none="Reading" />
        <LiveChart {...shared} name="Latency" at={at} lines={lines.latency} text={latency} ticks={tick} least={10} none="No request ended" />
        {language && <LiveChart {...shared} name="Time to first token" at={at} lines={lines.first} text={latency} ticks={tick} least={10} none="No answer began" />}
        {engines && <LiveChart {...shared} name="Between tokens" at={at} lines={lines.gaps} text={latency} ticks={tick} least={10} none="No token followed another" />}
        {language && <LiveChart {...shared} name="Tokens per second" at={at} lines={lines.tokens} text={rate} least={10} none="Reading" />}
        {language && <LiveChart {...shared} name="Prompt tokens from the cache" at={at} lines={lines.cached} text={share} least={1} most={1} none="No prompt came" />}
        {engines && <LiveChart {...shared} name="Sequences in the batches" at={at} lines={lines.batches} text={rate} least={4} none="Reading" />}
        <div className="live-wide"><LiveChart {...shared} name="Requests in flight, by replica" at={flying.at} lines={flying.lines} text={rate} least={4} none="No replica takes requests" /></div>
      </div>
    </Suspense>
  );
}

function replicaLines(samples: Sample[]): { at: number[]; lines: LiveLine[] } {
  const { at, replicas } = inFlightOf(samples);
  const looks = looksOf(replicas.map((one) => one.replica));
  const lines = replicas.flatMap(({ replica, counts }) => {
    const look = looks.get(replica);
    return look ? [{ id: replica, name: shortId(replica), look, values: counts }] : [];
  });
  return { at, lines };
}
