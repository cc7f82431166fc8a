// Runs in groups: how many, in which states, and their metrics as mean and range. It reads all runs of the search once.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { RunSearch } from "../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { StateIcon } from "../../components/State";
import { Table, type Column } from "../../components/Table";
import { count, metric, plural } from "../../lib/format";
import type { RunColumn, Sort } from "./columns";
import { everyRun } from "./everyRun";
import { comparisonOf, Groups, valuesText, type Group, type Summary } from "./groups";

const RUNS_MAX = 20_000;
const GROUPS_MAX = 500;

interface Props {
  search: RunSearch;
  by: { entity: "params" | "tags"; key: string };
  columns: RunColumn[];
  sort: Sort | undefined;
  /** How many runs there are, as far as is known. */
  total: number;
  onOpen: (comparison: string) => void;
  onSort: (sort: string | undefined) => void;
}

interface Grouped {
  groups: Groups;
  whole: boolean;
}

export function GroupTable({ search, by, columns, sort, total, onOpen, onSort }: Props) {
  const client = useQueryClient();
  // What is read so far is shown while the rest is on the way.
  const [partial, setPartial] = useState<{ groups: Groups; runs: number } | undefined>(undefined);
  const shown = columns.filter((column) => column.entity !== "attributes" && column.id !== `${by.entity}.${by.key}`);
  // The order of runs does not matter to groups.
  const unordered = { ...search, order: undefined };
  const key = ["run-groups", unordered, by, shown.map((one) => one.id).join()];
  const query = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<Grouped> => {
      const groups = new Groups(by, shown);
      const whole = await everyRun(unordered, RUNS_MAX, (runs) => {
        runs.forEach((run) => groups.add(run));
        setPartial({ groups, runs: groups.runs });
      }, signal);
      return { groups, whole };
    },
    staleTime: 60_000,
    structuralSharing: false,
    placeholderData: (before) => before,
  });
  if (query.isPending && partial === undefined) return <Skeleton lines={8} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const { groups, whole } = query.data ?? { groups: (partial as { groups: Groups }).groups, whole: true };
  const metricSort = sort?.id.startsWith("metrics.") ? sort : undefined;
  const rows = groups.sorted(metricSort?.id, metricSort?.descending ?? true);
  if (rows.length === 0) return query.isPending ? <Skeleton lines={8} /> : <Empty title="No run to group" />;
  return (
    <>
      <div className="soft toolbar">
        <span className="number" role="status">{plural(groups.runs, "run")}{query.isPending ? ` of ${count(total)} read, so far` : ""} in {plural(rows.length, "group")}{!whole && ", the first that the search finds"}.</span>
        <label>Order
          <select className="field-choice" value={metricSort ? `${metricSort.descending ? "-" : ""}${metricSort.id}` : ""} onChange={(event) => onSort(event.target.value || undefined)}>
            <option value="">most runs first</option>
            {shown.filter((column) => column.entity === "metrics").map((column) => [<option key={`-${column.id}`} value={`-${column.id}`}>{column.head}, greatest first</option>, <option key={column.id} value={column.id}>{column.head}, least first</option>])}
          </select>
        </label>
        <span>Metrics are means, with the least and the greatest value.</span>
        {!query.isPending && <button type="button" className="link" disabled={query.isFetching} onClick={() => void client.invalidateQueries({ queryKey: key })}>Read again</button>}
      </div>
      <div className="sheet"><Table<Group> label="Groups" rows={rows.slice(0, GROUPS_MAX)} rowKey={(group) => (group.value === undefined ? "none" : `=${group.value}`)} columns={groupColumns(by, shown, onOpen)} /></div>
      {rows.length > GROUPS_MAX && <p className="soft">{plural(rows.length - GROUPS_MAX, "more group")} not shown.</p>}
    </>
  );
}

function groupColumns(by: Props["by"], shown: RunColumn[], onOpen: Props["onOpen"]): Column<Group>[] {
  return [
    {
      head: by.key,
      cell: (group) => (
        <button type="button" className="link" title="Show its runs" onClick={() => onOpen(comparisonOf(by, group.value))}>
          {group.value === undefined ? <i>no value</i> : group.value === "" ? <i>empty</i> : <bdi className="grid-text">{group.value}</bdi>}
        </button>
      ),
    },
    { head: "Runs", number: true, cell: (group) => count(group.runs) },
    { head: "States", cell: (group) => <States states={group.states} /> },
    ...shown.map((column): Column<Group> => ({
      head: column.head,
      number: column.number,
      cell: (group) => (column.entity === "metrics" ? <Mean summary={group.metrics.get(column.key)} /> : <Values text={valuesText(group.values.get(column.id))} />),
    })),
  ];
}

function States({ states }: { states: Map<string, number> }) {
  return <span className="counts">{[...states].sort().map(([state, many]) => <span key={state} className="count" title={`${count(many)} ${state}`}><StateIcon state={state} /><span className="number">{count(many)}</span><span className="hidden-text">{state}</span></span>)}</span>;
}

function Mean({ summary }: { summary: Summary | undefined }) {
  if (!summary) return <span className="faint">–</span>;
  return (
    <span className="mean" title={`${plural(summary.count, "run")} with a value`}>
      {metric(summary.sum / summary.count)}
      <span className="faint">{metric(summary.least)} – {metric(summary.most)}</span>
    </span>
  );
}

function Values({ text }: { text: string }) {
  return text === "" ? <span className="faint">–</span> : <bdi className="grid-text" title={text}>{text}</bdi>;
}
