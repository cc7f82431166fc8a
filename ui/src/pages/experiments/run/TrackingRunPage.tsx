// One tracking run: what was logged, where it belongs, and what it stored.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { MetricCharts } from "../../../components/chart/MetricCharts";
import { ErrorNote, Note, Skeleton } from "../../../components/Notice";
import { CRUMB, PageHead } from "../../../components/PageHead";
import { Panel } from "../../../components/Panel";
import { Tabs } from "../../../components/Tabs";
import { Announce } from "../../../components/Announce";
import { ofRun } from "../traces/filter";
import { TraceList } from "../traces/TraceList";
import { Artifacts } from "./Artifacts";
import { Overview } from "./Overview";
import { RunActions } from "./RunActions";
import { RunFacts } from "./RunFacts";

const LIVE_MS = 2000;
const TABS = [{ id: "overview", label: "Overview" }, { id: "charts", label: "Charts" }, { id: "artifacts", label: "Artifacts" }, { id: "traces", label: "Traces" }];

export function TrackingRunPage() {
  const { experiment, run: id } = useParams({ from: "/experiments/$experiment/runs/$run" });
  const query = useQuery({
    queryKey: ["tracking", id],
    queryFn: () => tracking.run(id),
    refetchInterval: (asked) => (asked.state.data?.state === "running" ? LIVE_MS : false),
    structuralSharing: false,
  });
  const parent = useQuery({ queryKey: ["experiment", experiment], queryFn: () => tracking.experiment(experiment), staleTime: 10_000, structuralSharing: false });
  const over = <><Link {...CRUMB} to="/experiments">Experiments</Link> <span aria-hidden="true">/</span> <Link {...CRUMB} to="/experiments/$experiment" params={{ experiment }}>{parent.data?.name ?? experiment}</Link></>;
  if (query.isPending) return <><PageHead title="Run" over={over} /><Skeleton lines={8} /></>;
  if (query.isError && query.data === undefined) return <><PageHead title="Run" over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/experiments", label: "All experiments" }} /></>;
  const run = query.data;
  return (
    <>
      <PageHead title={run.name} over={over} facts={<RunFacts run={run} />} actions={<RunActions run={run} />} />
      <Announce text={`${run.name} ${run.state}`} />
      {run.deleted && <Note bad={false}>This run is deleted: lists and searches leave it out until it is restored.</Note>}
      <Shown key={run.id} run={run} />
    </>
  );
}

function Shown({ run }: { run: TrackingRun }) {
  const search = useSearch({ from: "/experiments/$experiment/runs/$run" });
  const navigate = useNavigate({ from: "/experiments/$experiment/runs/$run" });
  const tab = TABS.find((one) => one.id === search.tab)?.id ?? "overview";
  const go = useCallback((change: Record<string, string | undefined>): void => void navigate({ search: (before: object) => ({ ...before, ...change }), replace: true, resetScroll: false }), [navigate]);
  const searchTraces = useCallback((to: string) => go({ tq: to.trim() === "" ? undefined : to }), [go]);
  return (
    <Tabs label={`Run ${run.name}`} tabs={TABS} current={tab} onChange={(id) => go({ tab: id === "overview" ? undefined : id })}>
      {tab === "overview" && <Overview run={run} />}
      {tab === "charts" && <Panel title="Metrics"><MetricCharts runs={[run]} /></Panel>}
      {tab === "traces" && <TraceList experiment={run.experiment} within={ofRun(run.id)} typed={search.tq} sort={search.tsort} onSearch={searchTraces} onSort={(tsort) => go({ tsort })} />}
      {tab === "artifacts" && <Artifacts run={run} root={search.root} path={search.artifact} onPick={(root, artifact) => go({ root, artifact })} />}
    </Tabs>
  );
}
