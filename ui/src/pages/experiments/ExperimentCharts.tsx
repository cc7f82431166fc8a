// Curves of the runs in the table, overlaid: the chosen ones, or the first that the search and its order give.
import { useMemo } from "react";
import { MetricCharts } from "../../components/chart/MetricCharts";
import { Empty, Skeleton } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { plural } from "../../lib/format";
import type { Runs } from "./useRuns";
import type { Selection } from "./useSelection";

const AT_FIRST = 10;

export function ExperimentCharts({ runs, selection }: { runs: Runs; selection: Selection }) {
  const first = runs.first;
  const shown = useMemo(() => {
    const chosen = first?.filter((run) => selection.chosen.has(run.id)) ?? [];
    return chosen.length > 0 ? chosen : first?.slice(0, AT_FIRST) ?? [];
  }, [first, selection.chosen]);
  if (first === undefined) return <Skeleton lines={10} />;
  if (shown.length === 0) return <Empty title="No run to draw" />;
  const of = selection.chosen.size > 0 ? "chosen" : "first";
  return (
    <Panel title="Curves">
      <p className="soft chart-which">{of === "chosen" ? `The ${plural(shown.length, "chosen run")}.` : `The first ${plural(shown.length, "run")} of the table. Choose others there, or order it by what matters.`}</p>
      <MetricCharts runs={shown} />
    </Panel>
  );
}
