import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { sentence } from "../../api/errors";
import { jobs, type QueueItem, type Queues, type Quota, type RunningJob } from "../../api/jobs";
import { InventoryBars } from "../../components/Inventory";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Tabs } from "../../components/Tabs";
import { Span } from "../../components/Time";
import { duration, plural, resources } from "../../lib/format";
import { JobName } from "./JobName";
import { NodesView } from "./NodesView";
import { UsageView } from "./UsageView";

const TABS = [{ id: "now", label: "Now" }, { id: "nodes", label: "Nodes" }, { id: "usage", label: "Usage" }];

export function QueuePage() {
  const { tab = "now" } = useSearch({ from: "/queue" });
  const navigate = useNavigate({ from: "/queue" });
  return (
    <>
      <PageHead title="Queue" />
      <Tabs label="Queue" tabs={TABS} current={tab} onChange={(id) => void navigate({ search: { tab: id === "now" ? undefined : id }, replace: true, resetScroll: false })}>
        {tab === "usage" ? <UsageView /> : tab === "nodes" ? <NodesView /> : <Now />}
      </Tabs>
    </>
  );
}

/** What runs, what waits and why, and what is free. */
function Now() {
  const queue = useQuery({ queryKey: ["queue"], queryFn: jobs.queue, refetchInterval: 2000 });
  return (
    <>
      {queue.isPending ? <Skeleton lines={8} /> : queue.isError && !queue.data ? (
        <ErrorNote error={queue.error} retry={() => void queue.refetch()} />
      ) : (
        <>
          <Panel title="This machine"><InventoryBars inventory={queue.data.inventory} /></Panel>
          <Shares />
          <Panel title="Waiting" aside={<span className="number">{queue.data.items.length}</span>}>
            {queue.data.items.length === 0 ? (
              <Empty title="Nothing waits">A job waits here when what it asks for is in use, with the reason in a sentence.</Empty>
            ) : <Waiting items={queue.data.items} />}
          </Panel>
          <Panel title="Running" aside={<span className="number">{queue.data.running.length}</span>}>
            {queue.data.running.length === 0 ? <Empty title="Nothing runs" command="corliss run examples/chat/corliss.yaml" /> : <Running items={queue.data.running} />}
          </Panel>
        </>
      )}
    </>
  );
}

function Waiting({ items }: { items: QueueItem[] }) {
  return (
    <Table
      label="Waiting jobs"
      rows={items}
      rowKey={(item) => item.job_id}
      columns={[
        { head: "#", cell: (item) => item.position, number: true },
        { head: "Queue", cell: (item) => item.queue },
        { head: "Job", cell: (item) => <JobName name={item.name} id={item.job_id} run={item.run_id} /> },
        { head: "Asks for", cell: (item) => resources(item.needs) },
        { head: "Why it waits", wide: true, cell: (item) => sentence(item.reason) },
        { head: "Waiting", cell: (item) => duration(item.waiting_ms), number: true },
      ]}
    />
  );
}

/** What each queue may use and uses, where there are others than the one that is always there. */
function Shares() {
  const queues = useQuery({ queryKey: ["queues"], queryFn: jobs.queues, refetchInterval: 5000 });
  if (!queues.data || Object.keys(queues.data.settings.queues).length === 0) return null;
  const { settings, usage } = queues.data;
  return (
    <Panel title="Queues">
      <Table
        label="Queues"
        rows={Object.entries(usage)}
        rowKey={([name]) => name}
        columns={[
          { head: "Queue", wide: true, cell: ([name]) => <><b>{name}</b> <span className="faint">{part(settings, name)}</span></> },
          { head: "Own", cell: ([name]) => quota(settings.queues[name]?.quota) },
          { head: "Holds", cell: ([, used]) => resources(used.held) },
          { head: "Running", cell: ([, used]) => used.running, number: true },
          { head: "Waiting", cell: ([, used]) => used.waiting, number: true },
        ]}
      />
    </Panel>
  );
}

function part(settings: Queues["settings"], name: string): string {
  const parent = settings.queues[name]?.parent;
  return parent ? `part of ${parent}` : "";
}

function quota(own: Quota | undefined): string {
  if (!own || Object.keys(own).length === 0) return "no limit";
  return resources({ cpu_milli: own.cpu_milli ?? 0, memory_bytes: own.memory_bytes ?? 0, accelerators: own.accelerators ?? 0 });
}

function Running({ items }: { items: RunningJob[] }) {
  return (
    <Table
      label="Running jobs"
      rows={items}
      rowKey={(item) => item.job_id ?? item.id ?? item.name}
      columns={[
        { head: "Job", wide: true, cell: (item) => <JobName name={item.name} id={item.job_id ?? item.id ?? ""} run={item.run_id} step={item.step} /> },
        { head: "State", cell: (item) => <State state={item.state ?? "running"} /> },
        { head: "Kind", cell: (item) => (item.kind === "service" ? "service" : "batch") },
        { head: "Holds", cell: holds },
        { head: "For", cell: (item) => <Span from={item.started_ms} />, number: true },
      ]}
    />
  );
}

function holds(item: RunningJob): string {
  if (item.needs) return resources(item.needs);
  if (!item.resources_per_worker) return "–";
  const each = resources(item.resources_per_worker);
  return (item.workers ?? 1) > 1 ? `${plural(item.workers ?? 1, "worker")}, ${each} each` : each;
}
