// Who held what for how long, and what of it was lost.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { usage, type Consumption, type Hours, type Usage, type UsageBy } from "../../api/usage";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { Table } from "../../components/Table";
import { toCsv } from "../../lib/csv";
import { count, duration, hours } from "../../lib/format";
import { save } from "../../lib/save";
import { nameOf, stack } from "./stack";
import { UsageChart } from "./UsageChart";

const DAY_MS = 86_400_000;
const DAYS = [7, 30, 90, 365];
const BY: [UsageBy, string][] = [["user", "User"], ["project", "Project or endpoint"], ["queue", "Queue"]];
const OF: [keyof Hours, string][] = [["accelerator", "Accelerator hours"], ["cpu", "CPU hours"], ["memory_gib", "GiB hours of memory"]];

export function UsageView() {
  const [days, setDays] = useState(30);
  const [by, setBy] = useState<UsageBy>("user");
  const [chosen, setOf] = useState<keyof Hours | undefined>(undefined);
  const read = useQuery({
    queryKey: ["usage", days, by],
    queryFn: async () => {
      const from_ms = Date.now() - days * DAY_MS;
      const [whole, daily] = await Promise.all([usage({ from_ms, by }), usage({ from_ms, by, per: "day" })]);
      return { whole, daily };
    },
    refetchInterval: 60_000,
  });
  // What is scarce, where there is any.
  const of = chosen ?? (read.data && read.data.whole.total.allocated.accelerator > 0 ? "accelerator" : "cpu");
  const unit = OF.find(([id]) => id === of)?.[1] ?? "";
  return (
    <Panel
      title="Usage"
      aside={read.data && read.data.whole.items.length > 0 && (
        <button type="button" className="button" onClick={() => download(read.data.daily, by)}><Icon name="download" />CSV</button>
      )}
    >
      <div className="toolbar">
        <label>Of the last <select value={days} onChange={(event) => setDays(Number(event.target.value))}>{DAYS.map((one) => <option key={one} value={one}>{one} days</option>)}</select></label>
        <label>by <select value={by} onChange={(event) => setBy(event.target.value as UsageBy)}>{BY.map(([id, label]) => <option key={id} value={id}>{label}</option>)}</select></label>
        <label>drawn <select value={of} onChange={(event) => setOf(event.target.value as keyof Hours)}>{OF.map(([id, label]) => <option key={id} value={id}>{label}</option>)}</select></label>
      </div>
      {read.isPending ? <Skeleton lines={8} /> : read.isError && !read.data ? (
        <ErrorNote error={read.error} retry={() => void read.refetch()} />
      ) : read.data.whole.items.length === 0 ? (
        <Empty title="No job waited or ran in this time" command="corliss run examples/chat/corliss.yaml" />
      ) : (
        <>
          <UsageChart stack={stack(read.data.daily.items, by, of, read.data.daily.from_ms, read.data.daily.to_ms)} unit={unit} />
          <Lines usage={read.data.whole} by={by} />
          <p className="faint">What a job was given counts from its start to its end, used or not. What an attempt did after its last checkpoint is lost when it fails or makes room for another.</p>
        </>
      )}
    </Panel>
  );
}

function Lines({ usage: told, by }: { usage: Usage; by: UsageBy }) {
  const rows: [string, Consumption][] = told.items.map((item) => [nameOf(item, by), item]);
  if (rows.length > 1) rows.push(["In all", told.total]);
  return (
    <Table
      label="Usage"
      rows={rows}
      rowKey={([name]) => name}
      columns={[
        { head: BY.find(([id]) => id === by)?.[1] ?? "", wide: true, cell: ([name]) => <b><bdi>{name}</bdi></b> },
        { head: "Jobs", cell: ([, of]) => count(of.jobs), number: true },
        { head: "Waited", cell: ([, of]) => duration(of.waited_hours * 3_600_000), number: true },
        { head: "Accelerator h", cell: ([, of]) => hours(of.allocated.accelerator), number: true },
        { head: "CPU h", cell: ([, of]) => hours(of.allocated.cpu), number: true },
        { head: "CPU used", cell: ([, of]) => share(of.used_cpu_hours, of.allocated.cpu), number: true },
        { head: "GiB h", cell: ([, of]) => hours(of.allocated.memory_gib), number: true },
        { head: "Lost by failing", cell: ([, of]) => lost(of.failed, of.allocated), number: true },
        { head: "By making room", cell: ([, of]) => lost(of.preempted, of.allocated), number: true },
      ]}
    />
  );
}

const share = (part: number, whole: number): string => (whole > 0 ? `${Math.round((part / whole) * 100)} %` : "–");

/** The share of the accelerators' time, or of the CPUs' where there were none. */
const lost = (of: Hours, allocated: Hours): string =>
  allocated.accelerator > 0 ? share(of.accelerator, allocated.accelerator) : share(of.cpu, allocated.cpu);

/** The days as a file, with the columns of `corliss jobs usage --csv`. */
function download(daily: Usage, by: UsageBy): void {
  const amounts = (of: Hours): string[] => [of.cpu, of.memory_gib, of.accelerator].map(String);
  const of = ["cpu_hours", "memory_gib_hours", "accelerator_hours"];
  const header = ["from", "to", by, "jobs", "waited_hours", ...of, ...of.map((name) => `failed_${name}`), ...of.map((name) => `preempted_${name}`), "used_cpu_hours"];
  const moment = (ms: number): string => new Date(ms).toISOString();
  const rows = daily.items.map((item) => [
    moment(item.from_ms), moment(item.to_ms), item[by] ?? "", String(item.jobs), String(item.waited_hours),
    ...amounts(item.allocated), ...amounts(item.failed), ...amounts(item.preempted), String(item.used_cpu_hours),
  ]);
  save(new Blob([toCsv([header, ...rows])], { type: "text/csv" }), `usage-by-${by}.csv`);
}
