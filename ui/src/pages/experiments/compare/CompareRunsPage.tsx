// Two to fifty runs side by side: what differs, their curves, one value against another, all values at once.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { MetricCharts } from "../../../components/chart/MetricCharts";
import { looksOf } from "../../../components/chart/palette";
import { Empty, ErrorNote, Note, Skeleton } from "../../../components/Notice";
import { CRUMB, PageHead } from "../../../components/PageHead";
import { Panel } from "../../../components/Panel";
import { Tabs } from "../../../components/Tabs";
import { plural } from "../../../lib/format";
import { fieldsOf } from "./axes";
import { ComparedRuns } from "./ComparedRuns";
import { Differences } from "./Differences";
import { COMPARE_MAX } from "./differences";
import { Parallel } from "./Parallel";
import { Scatter } from "./Scatter";

const LIVE_MS = 3000;
const TABS = [{ id: "differences", label: "Differences" }, { id: "curves", label: "Curves" }, { id: "scatter", label: "Scatter" }, { id: "parallel", label: "Parallel coordinates" }];

export function CompareRunsPage() {
  const { experiment } = useParams({ from: "/experiments/$experiment/compare" });
  const search = useSearch({ from: "/experiments/$experiment/compare" });
  const navigate = useNavigate({ from: "/experiments/$experiment/compare" });
  const asked = [...new Set<string>((search.runs ?? "").split(",").filter(Boolean))];
  const ids = asked.slice(0, COMPARE_MAX);
  const query = useQuery({
    queryKey: ["compare", experiment, ids.join()],
    queryFn: () => tracking.runsById(experiment, ids),
    enabled: ids.length > 0,
    refetchInterval: (at) => (at.state.data?.some((run) => run.state === "running") ? LIVE_MS : false),
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
  const parent = useQuery({ queryKey: ["experiment", experiment], queryFn: () => tracking.experiment(experiment), staleTime: 10_000, structuralSharing: false });
  const set = (change: Record<string, string | undefined>): void => void navigate({ search: (before: object) => ({ ...before, ...change }), replace: true, resetScroll: false });
  const over = <><Link {...CRUMB} to="/experiments">Experiments</Link> <span aria-hidden="true">/</span> <Link {...CRUMB} to="/experiments/$experiment" params={{ experiment }}>{parent.data?.name ?? experiment}</Link></>;
  const head = <PageHead title="Compare runs" over={over} facts={query.data && <span>{plural(query.data.length, "run")}</span>} />;
  if (ids.length === 0) return <>{head}<Empty title="No runs to compare">Choose two or more in the table of the experiment.</Empty></>;
  if (query.isPending) return <>{head}<Skeleton lines={10} /></>;
  if (query.isError && query.data === undefined) return <>{head}<ErrorNote error={query.error} retry={() => void query.refetch()} /></>;
  const runs = query.data.filter((run) => ids.includes(run.id));
  const tab = TABS.find((one) => one.id === search.tab)?.id ?? "differences";
  const missing = ids.length - query.data.length;
  return (
    <>
      {head}
      {asked.length > COMPARE_MAX && <Note bad={false}>The first {COMPARE_MAX} of {asked.length} runs are compared.</Note>}
      {missing > 0 && !query.isPlaceholderData && <Note bad={false}>{plural(missing, "run")} of the address {missing === 1 ? "is" : "are"} not in this experiment.</Note>}
      <ComparedRuns runs={runs} onChange={(left) => set({ runs: left.join(",") })} />
      <Tabs label="Comparison" tabs={TABS} current={tab} onChange={(id) => set({ tab: id === "differences" ? undefined : id })}>
        {runs.length === 0 ? <Empty title="None of these runs is there" /> : <Shown tab={tab} runs={runs} search={search} set={set} />}
      </Tabs>
    </>
  );
}

interface ShownProps {
  tab: string;
  runs: TrackingRun[];
  search: { x?: string; y?: string; axes?: string };
  set: (change: Record<string, string | undefined>) => void;
}

function Shown({ tab, runs, search, set }: ShownProps) {
  const fields = useMemo(() => fieldsOf(runs), [runs]);
  const looks = useMemo(() => looksOf(runs.map((run) => run.id)), [runs]);
  if (tab === "curves") return <Panel title="Curves"><MetricCharts runs={runs} /></Panel>;
  if (tab === "scatter") return <Scatter runs={runs} fields={fields} looks={looks} x={search.x} y={search.y} onChange={set} />;
  if (tab === "parallel") return <Parallel runs={runs} fields={fields} looks={looks} axes={search.axes} onChange={(axes) => set({ axes })} />;
  return <Differences runs={runs} looks={looks} />;
}
