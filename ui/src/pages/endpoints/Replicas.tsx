import { sentence } from "../../api/errors";
import type { Replica } from "../../api/endpoints";
import { Id } from "../../components/Command";
import { Empty } from "../../components/Notice";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { plural, shortId } from "../../lib/format";

/** Those that serve or try to first; those of earlier rollouts are only history. */
export function Replicas({ replicas }: { replicas: Replica[] }) {
  const live = replicas.filter((one) => one.state !== "stopped").sort((a, b) => rank(a) - rank(b));
  const stopped = replicas.filter((one) => one.state === "stopped");
  return (
    <>
      {live.length === 0 ? <Empty title="No replica exists" /> : <Rows label="Replicas" replicas={live} />}
      {stopped.length > 0 && (
        <details className="fold">
          <summary>{plural(stopped.length, "stopped replica")}</summary>
          <Rows label="Stopped replicas" replicas={stopped} />
        </details>
      )}
    </>
  );
}

const ORDER: Replica["state"][] = ["ready", "starting", "queued", "draining", "stopping", "failed", "stopped"];
const rank = (one: Replica): number => ORDER.indexOf(one.state);

function Rows({ label, replicas }: { label: string; replicas: Replica[] }) {
  return (
    <Table
      label={label}
      rows={replicas}
      rowKey={(one) => one.id}
      columns={[
        { head: "Replica", cell: (one) => <Id id={one.id} short={shortId(one.id)} /> },
        { head: "State", cell: (one) => <State state={one.state} /> },
        { head: "Version", cell: (one) => one.version, number: true },
        { head: "Reason", wide: true, cell: (one) => (one.reason ? sentence(one.reason) : <span className="faint">–</span>) },
        { head: "In flight", cell: (one) => one.in_flight, number: true },
        { head: "Restarts", cell: (one) => one.restarts, number: true },
        { head: "Started", cell: (one) => <Ago at={one.started_ms} /> },
      ]}
    />
  );
}
