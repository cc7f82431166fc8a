// One metric of some runs: its points are asked for once it is near the window, and anew while a run goes on.
import { useQuery } from "@tanstack/react-query";
import { Suspense, useEffect, useMemo, useRef, useState } from "react";
import { tracking } from "../../api/tracking";
import { Dialog } from "../Dialog";
import { ErrorNote } from "../Notice";
import type { DrawnRun } from "./Legend";
import { ChartTools } from "./ChartTools";
import { CurveChart } from "./MetricCharts";
import { useChartSettings } from "./settings";

const REFRESH_MS = 3000;
const HEIGHT = 170;
/** Points of all runs together: what a chart of this size can show several times over. */
const POINTS = { small: 12_000, large: 30_000 };
/** What the server gives of one run at most. */
const POINTS_MAX = 2500;

interface Props {
  name: string;
  runs: DrawnRun[];
  live: boolean;
  sync: string;
}

export function MetricChart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const near = useNear(box);
  const [large, setLarge] = useState(false);
  return (
    <div ref={box} className="chart-place">
      {near && <Drawn {...props} size="small" onEnlarge={() => setLarge(true)} />}
      {large && (
        <Dialog title={props.name} wide onClose={() => setLarge(false)}>
          <div className="toolbar chart-tools"><ChartTools /></div>
          <Drawn {...props} size="large" />
          <div className="dialog-actions"><button type="button" className="button" onClick={() => setLarge(false)}>Close</button></div>
        </Dialog>
      )}
    </div>
  );
}

function Drawn({ name, runs, live, sync, size, onEnlarge }: Props & { size: "small" | "large"; onEnlarge?: () => void }) {
  const settings = useChartSettings();
  const [zoom, setZoom] = useState<[number, number] | undefined>(undefined);
  const ids = useMemo(() => runs.map((run) => run.id), [runs]);
  const points = Math.max(120, Math.min(size === "small" ? 1000 : POINTS_MAX, Math.round(POINTS[size] / Math.max(1, ids.length))));
  // Along steps, what is zoomed into is asked for anew: the server thins out only what is looked at.
  const steps: [number, number] | undefined = zoom && (settings.axis ?? "step") === "step" ? [Math.floor(zoom[0]), Math.ceil(zoom[1])] : undefined;
  const query = useQuery({
    queryKey: ["curves", ids.join(), name, points, steps],
    queryFn: ({ signal }) => tracking.curves(ids, name, points, steps, signal),
    refetchInterval: live ? REFRESH_MS : false,
    staleTime: live ? REFRESH_MS : 60_000,
    placeholderData: (before) => before,
    structuralSharing: false,
    enabled: ids.length > 0,
  });
  // Another axis has other numbers.
  useEffect(() => setZoom(undefined), [settings.axis, settings.logX]);
  if (query.isError && query.data === undefined) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const height = size === "small" ? HEIGHT : Math.max(260, Math.min(520, window.innerHeight - 330));
  return (
    <Suspense fallback={<Waiting name={name} height={height} />}>
      {query.data === undefined ? <Waiting name={name} height={height} /> : (
        <CurveChart name={name} runs={runs} points={query.data} settings={settings} sync={size === "small" ? sync : `${sync} large`} height={height} zoom={zoom} onZoom={setZoom} onEnlarge={onEnlarge} />
      )}
    </Suspense>
  );
}

/** Of the height that the chart will have. */
function Waiting({ name, height }: { name: string; height: number }) {
  return (
    <figure className="chart" aria-busy="true">
      <figcaption><bdi className="chart-name">{name}</bdi></figcaption>
      <div className="chart-box waiting" style={{ height }} />
      <p className="chart-note">{"\u00a0"}</p>
    </figure>
  );
}

/** Whether the box has been near the window once. */
function useNear(box: { current: HTMLElement | null }): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element || near) return undefined;
    const observer = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) setNear(true); }, { rootMargin: "300px" });
    observer.observe(element);
    return () => observer.disconnect();
  }, [box, near]);
  return near;
}
