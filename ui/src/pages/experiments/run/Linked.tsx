// Data that a run read and models that it made.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { ErrorNote } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { Table } from "../../../components/Table";
import { Ago } from "../../../components/Time";
import { words } from "../../../lib/format";

export function Datasets({ run }: { run: TrackingRun }) {
  if (run.datasets.length === 0) return null;
  return (
    <Panel title="Datasets">
      <Table
        label="Datasets"
        rows={run.datasets.map((one, index) => ({ ...one, index }))}
        rowKey={(one) => String(one.index)}
        columns={[
          { head: "Dataset", cell: (one) => <b>{one.name}</b> },
          { head: "Used for", cell: (one) => one.context ?? <span className="faint">–</span> },
          { head: "Digest", cell: (one) => <code className="id">{one.digest}</code> },
          { head: "Kind", cell: (one) => one.source_type },
          { head: "Source", wide: true, cell: (one) => <code className="whole">{one.source}</code> },
        ]}
      />
    </Panel>
  );
}

/** Logged models, and the versions of registered ones that came from this run. */
export function Models({ run }: { run: TrackingRun }) {
  const ids = run.models.map((one) => one.id);
  const logged = useQuery({ queryKey: ["logged-models", ids.join()], queryFn: () => tracking.loggedModels(ids), enabled: ids.length > 0 });
  const registered = useQuery({ queryKey: ["registered-of", run.id], queryFn: () => tracking.registered(run.id), staleTime: 10_000 });
  const versions = registered.data ?? [];
  if (ids.length === 0 && versions.length === 0) return null;
  return (
    <Panel title="Models">
      {logged.isError && <ErrorNote error={logged.error} retry={() => void logged.refetch()} />}
      {logged.data && (
        <Table
          label="Logged models"
          rows={logged.data}
          rowKey={(one) => one.id}
          columns={[
            { head: "Logged model", cell: (one) => <Link to="/experiments/$experiment/runs/$run" params={{ experiment: run.experiment, run: run.id }} search={{ tab: "artifacts", root: one.id }} className="row-link"><b>{one.name}</b></Link> },
            { head: "Id", cell: (one) => <code className="id">{one.id}</code> },
            { head: "Kind", cell: (one) => one.type || <span className="faint">–</span> },
            { head: "Status", cell: (one) => words(one.status) },
            { head: "Made", cell: (one) => <Ago at={one.created_ms} /> },
          ]}
        />
      )}
      {versions.length > 0 && (
        <p className="registered">Registered as {versions.map((one, index) => (
          <span key={`${one.name} ${one.version}`}>{index > 0 && ", "}<Link to="/models/$name" params={{ name: one.name }} search={{ version: Number(one.version) }}>{one.name} version {one.version}</Link></span>
        ))}</p>
      )}
    </Panel>
  );
}
