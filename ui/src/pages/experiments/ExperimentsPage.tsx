import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useState } from "react";
import { countRuns } from "../../api/count";
import { tracking, type RunSearch } from "../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { count } from "../../lib/format";
import { FirstRun } from "./FirstRun";

/** Every experiment; steps log to the one that has their project's name. */
export function ExperimentsPage() {
  const [typed, setTyped] = useState("");
  const words = useDeferredValue(typed.trim());
  const query = useInfiniteQuery({
    queryKey: ["experiments", words],
    queryFn: ({ pageParam }) => tracking.experiments(words, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
    refetchInterval: 10_000,
    placeholderData: (before) => before,
    structuralSharing: false,
  });
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const fresh = words === "" && !query.hasNextPage && items.length === 1 && items[0]?.id === "0";
  return (
    <>
      <PageHead title="Experiments" />
      {query.isPending ? <Skeleton lines={6} /> : query.isError && items.length === 0 ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : (
        <>
          <div className="toolbar">
            <input type="search" data-search className="wide-field" aria-label="Search experiments" placeholder="Search by name (/)" spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />
          </div>
          {items.length === 0 ? (words === "" ? <FirstRun title="No experiment yet" /> : <Empty title={`No experiment is called “${words}”`} />) : (
            <Table
              label="Experiments"
              rows={items}
              rowKey={(one) => one.id}
              columns={[
                { head: "Experiment", wide: true, cell: (one) => <Link to="/experiments/$experiment" params={{ experiment: one.id }} className="row-link"><b>{one.name}</b></Link> },
                { head: "Runs", cell: (one) => <RunCount experiment={one.id} />, number: true },
                { head: "Latest run", cell: (one) => <LatestState experiment={one.id} /> },
                { head: "Last activity", cell: (one) => <Activity experiment={one.id} changed={one.updated_ms} /> },
                { head: "Made", cell: (one) => <Ago at={one.created_ms} /> },
                { head: "Id", cell: (one) => one.id, number: true },
              ]}
            />
          )}
          {fresh && <FirstRun title="Make the first run" />}
          {query.hasNextPage && (
            <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more experiments</button>
          )}
        </>
      )}
    </>
  );
}

const all = (experiment: string): RunSearch => ({ experiment, filter: "", stage: "active" });

/** The newest run, which three cells of a row ask for together. */
const useLatest = (experiment: string) => useQuery({
  queryKey: ["latest-run", experiment],
  queryFn: () => tracking.runs(all(experiment), 0, 1),
  refetchInterval: 60_000,
  staleTime: 30_000,
  structuralSharing: false,
});

function LatestState({ experiment }: { experiment: string }) {
  const run = useLatest(experiment).data?.items[0];
  return run ? <Link to="/experiments/$experiment/runs/$run" params={{ experiment, run: run.id }} className="row-link latest-run"><State state={run.state} /> <span className="soft">{run.name}</span></Link> : <span className="faint">–</span>;
}

/** When the newest run began or ended, or the experiment itself was changed. */
function Activity({ experiment, changed }: { experiment: string; changed: number }) {
  const run = useLatest(experiment).data?.items[0];
  return <Ago at={Math.max(changed, run?.started_ms ?? 0, run?.ended_ms ?? 0)} />;
}

function RunCount({ experiment }: { experiment: string }) {
  const latest = useLatest(experiment).data;
  const query = useQuery({
    queryKey: ["run-count", experiment],
    queryFn: ({ signal }) => countRuns(all(experiment), 8, signal),
    enabled: latest?.more === true,
    staleTime: 60_000,
  });
  const known = latest?.more === false ? latest.items.length : query.data;
  return known === undefined ? <span className="faint">…</span> : count(known);
}

