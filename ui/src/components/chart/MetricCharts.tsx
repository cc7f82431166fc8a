// All metrics of one or many runs, a chart each, in folds by the part of their names before the first slash.
import { lazy, useDeferredValue, useMemo, useState, type ReactNode } from "react";
import type { TrackingRun } from "../../api/tracking";
import { Empty } from "../Notice";
import { plural } from "../../lib/format";
import { ChartTools } from "./ChartTools";
import { metricFolds } from "./folds";
import { Legend, type DrawnRun } from "./Legend";
import { MetricChart } from "./MetricChart";
import { looksOf } from "./palette";

// The chart library is fetched while the metrics are looked for.
export const CurveChart = lazy(async () => ({ default: (await import("./CurveChart")).CurveChart }));

interface Props {
  runs: TrackingRun[];
  none?: ReactNode;
}

export function MetricCharts({ runs, none }: Props) {
  const [typed, setTyped] = useState("");
  const wanted = useDeferredValue(typed.trim().toLowerCase());
  const [hidden, setHidden] = useState<Set<string>>(() => new Set());
  const ids = runs.map((run) => `${run.id} ${run.name}`).join("\n");
  const drawn = useMemo<DrawnRun[]>(() => {
    const looks = looksOf(runs.map((run) => run.id));
    return runs.flatMap(({ id, name }) => { const look = looks.get(id); return look ? [{ id, name, look }] : []; });
  }, [ids]);
  const visible = useMemo(() => drawn.filter((run) => !hidden.has(run.id)), [drawn, hidden]);
  const keys = [...new Set(runs.flatMap((run) => [...run.metrics.keys()]))];
  const folds = metricFolds(keys.filter((key) => key.toLowerCase().includes(wanted)));
  const live = runs.some((run) => run.state === "running");
  const sync = `charts ${runs[0]?.id ?? ""}`;
  if (keys.length === 0) return none ?? <Empty title={live ? "No metrics yet" : "No metrics"}>They are logged with the ordinary client: <code>mlflow.log_metric("loss", value, step=step)</code></Empty>;
  const toggle = (id: string): void => setHidden((before) => { const after = new Set(before); if (!after.delete(id)) after.add(id); return after; });
  return (
    <>
      <div className="toolbar chart-tools">
        {keys.length > 4 && <input type="search" aria-label="Find a metric" placeholder={`Find among ${keys.length} metrics`} spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />}
        <ChartTools />
      </div>
      {runs.length > 1 && <Legend runs={drawn} hidden={hidden} onToggle={toggle} />}
      {folds.map(({ name, keys: inside }) => (
        <Fold key={name} name={name} only={folds.length === 1} many={inside.length}>
          <div className="charts">{inside.map((key) => <MetricChart key={key} name={key} runs={visible} live={live} sync={sync} />)}</div>
        </Fold>
      ))}
      {folds.length === 0 && <Empty title={`No metric is called “${typed.trim()}”`} />}
    </>
  );
}

function Fold({ name, only, many, children }: { name: string; only: boolean; many: number; children: ReactNode }) {
  const [open, setOpen] = useState(name !== "system");
  if (only) return children;
  return (
    <details className="chart-fold" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{name === "" ? "Metrics" : name} <span className="faint">{plural(many, "metric")}</span></summary>
      {open && children}
    </details>
  );
}
