// The runs of one experiment: searched, ordered, grouped, with the columns one wants; and its traces. All of that stands in
// the address.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useState, type ReactNode } from "react";
import { asApiError } from "../../api/errors";
import { tracking, type Experiment, type RunSearch } from "../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Tabs } from "../../components/Tabs";
import { Ago } from "../../components/Time";
import { count, plural } from "../../lib/format";
import { ColumnPicker } from "./ColumnPicker";
import { columnOf, columnsOf, firstColumns, formatColumns, orderOf, parseColumns, parseSort, type RunColumn } from "./columns";
import { DownloadRuns } from "./DownloadRuns";
import { ExperimentCharts } from "./ExperimentCharts";
import { examples, filterOf, narrowed } from "./filter";
import { FirstRun } from "./FirstRun";
import { GroupChoice, StageChoice } from "./Choices";
import { GroupTable } from "./GroupTable";
import { RunTable } from "./RunTable";
import { SearchBox } from "./search/SearchBox";
import { runWords } from "./search/words";
import { SelectionBar } from "./SelectionBar";
import { TraceList } from "./traces/TraceList";
import { useRuns, type Runs as LoadedRuns } from "./useRuns";
import { useSelection } from "./useSelection";
import { Views } from "./Views";
import { asSearch, partsOf } from "./views";

export function ExperimentPage() {
  const { experiment: id } = useParams({ from: "/experiments/$experiment" });
  const experiment = useQuery({ queryKey: ["experiment", id], queryFn: () => tracking.experiment(id), staleTime: 10_000, structuralSharing: false });
  const over = <Link {...CRUMB} to="/experiments">Experiments</Link>;
  const title = experiment.data?.name ?? `Experiment ${id}`;
  if (experiment.isPending) return <><PageHead title={title} over={over} /><Skeleton lines={8} /></>;
  if (experiment.isError && experiment.data === undefined) return <><PageHead title={title} over={over} /><ErrorNote error={experiment.error} retry={() => void experiment.refetch()} back={{ to: "/experiments", label: "All experiments" }} /></>;
  return <Loaded key={id} experiment={experiment.data} over={over} />;
}

type Change = Record<string, string | undefined>;

const TABS = [{ id: "runs", label: "Runs" }, { id: "charts", label: "Charts" }, { id: "traces", label: "Traces" }];

function Loaded({ experiment, over }: { experiment: Experiment; over: ReactNode }) {
  const search = useSearch({ from: "/experiments/$experiment" });
  const navigate = useNavigate({ from: "/experiments/$experiment" });
  const set = useCallback((change: Change): void => void navigate({ search: (before: object) => ({ ...before, ...change }), replace: true, resetScroll: false }), [navigate]);
  const searchTraces = useCallback((to: string) => set({ tq: to.trim() === "" ? undefined : to }), [set]);
  const tab = TABS.find((one) => one.id === search.tab)?.id ?? "runs";
  return (
    <>
      <PageHead title={experiment.name} over={over} facts={<Facts experiment={experiment} />} />
      <Tabs label={`Experiment ${experiment.name}`} tabs={TABS} current={tab} onChange={(to) => set({ tab: to === "runs" ? undefined : to })}>
        {tab === "traces"
          ? <TraceList experiment={experiment.id} name={experiment.id === "0" ? undefined : experiment.name} typed={search.tq} sort={search.tsort} onSearch={searchTraces} onSort={(to) => set({ tsort: to })} />
          : <Runs experiment={experiment} charts={tab === "charts"} set={set} />}
      </Tabs>
    </>
  );
}

interface RunsProps {
  experiment: Experiment;
  charts: boolean;
  set: (change: Change) => void;
}

function Runs({ experiment, charts, set }: RunsProps) {
  const search = useSearch({ from: "/experiments/$experiment" });
  const stage = search.stage === "deleted" ? "deleted" : "active";
  const sort = useMemo(() => parseSort(search.sort), [search.sort]);
  const order = orderOf(sort);
  const asked = useMemo<RunSearch>(() => ({ experiment: experiment.id, filter: filterOf(search.q ?? ""), order, stage }), [experiment.id, search.q, order, stage]);
  const [window, setWindow] = useState<[number, number]>([0, 40]);
  const runs = useRuns(asked, window);
  const { known, columns } = useColumns(search.cols, runs);
  const selection = useSelection();
  const sortBy = useCallback((to: string | undefined) => set({ sort: to }), [set]);
  const searchFor = useCallback((to: string) => set({ q: to.trim() === "" ? undefined : to }), [set]);
  const vocabulary = useMemo(() => runWords(runs.first ?? []), [runs.first]);
  const shown = useMemo(() => examples(runs.first ?? []), [runs.first]);
  const group = groupOf(search.group);
  // A wrong filter is answered at its box; anything else is about the table.
  const refused = runs.error !== undefined && asApiError(runs.error).status === 400;
  const nothing = runs.total === 0 && !runs.busy && asked.filter === "" && runs.error === undefined;
  return (
    <>
      <div className="toolbar run-tools">
        <SearchBox
          label="Search runs"
          placeholder="Names, or a filter such as metrics.loss < 0.5 (/)"
          value={search.q ?? ""}
          onChange={searchFor}
          error={refused ? runs.error : undefined}
          vocabulary={vocabulary}
          examples={shown}
          help={<>Plain words are looked for in names. A filter compares <code>metrics.</code>, <code>params.</code>, <code>tags.</code> and attributes, joined by <code>AND</code>.</>}
        />
        <Views experiment={experiment} state={partsOf(search)} current={search.view} onPick={(view) => set(asSearch(view))} />
        <ColumnPicker known={known} chosen={columns} onChange={(to) => set({ cols: to && formatColumns(to) })} />
        <GroupChoice known={known} value={search.group} onChange={(to) => set({ group: to })} />
        <StageChoice value={stage} onChange={(to) => { selection.clear(); set({ stage: to === "deleted" ? to : undefined }); }} />
        <DownloadRuns search={asked} columns={columns} name={experiment.name} />
      </div>
      {nothing ? (stage === "deleted" ? <Empty title="No deleted run" /> : <FirstRun title="No run in this experiment" experiment={experiment.id === "0" ? undefined : experiment.name} />)
        : charts ? <ExperimentCharts runs={runs} selection={selection} />
        : group ? <GroupTable key={`${search.group} ${asked.filter} ${stage}`} search={asked} by={group} columns={columns} sort={sort} total={runs.total} onSort={sortBy} onOpen={(comparison) => set({ group: undefined, q: narrowed(search.q ?? "", comparison), sort: undefined })} />
        : (
          <>
            {runs.error !== undefined && !refused && <ErrorNote error={runs.error} retry={runs.retry} />}
            <div className="run-bar-line">
              <SelectionBar experiment={experiment.id} selection={selection} stage={stage} />
              <span className="number soft">{runs.first === undefined ? "…" : runs.counted ? plural(runs.total, "run") : `more than ${count(Math.max(0, runs.total - 1))} runs`}</span>
            </div>
            {runs.first === undefined ? <div className="run-grid">{runs.error === undefined ? <Skeleton lines={14} /> : <Empty title="No runs to show">The search above is refused, or its answer did not come.</Empty>}</div> : (
              <RunTable search={asked} runs={runs} columns={columns} sort={sort} onSort={sortBy} selection={selection} window={window} onWindow={setWindow} />
            )}
            {runs.total === 0 && !runs.busy && runs.error === undefined && runs.first !== undefined && <Empty title="No run is found">The search above leaves none. Its examples show what else can be asked.</Empty>}
          </>
        )}
    </>
  );
}

function Facts({ experiment }: { experiment: Experiment }) {
  return (
    <>
      <span>made <Ago at={experiment.created_ms} /></span>
      <span>id <code>{experiment.id}</code></span>
    </>
  );
}

/** What columns there are, and which are shown. What a table begins with is settled by its first runs, and stays. */
function useColumns(chosen: string | undefined, runs: LoadedRuns): { known: RunColumn[]; columns: RunColumn[] } {
  const [first, setFirst] = useState<RunColumn[] | undefined>(undefined);
  if (first === undefined && runs.first !== undefined && runs.first.length > 0) setFirst(firstColumns(runs.first));
  const known = useMemo(() => columnsOf(runs.first ?? []), [runs.first]);
  const columns = useMemo(() => (chosen === undefined ? first ?? [] : parseColumns(chosen)), [chosen, first]);
  return { known, columns };
}

function groupOf(id: string | undefined): { entity: "params" | "tags"; key: string } | undefined {
  const column = id === undefined ? undefined : columnOf(id);
  return column?.entity === "params" || column?.entity === "tags" ? { entity: column.entity, key: column.key } : undefined;
}
