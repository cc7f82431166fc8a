import { sentence } from "../../api/errors";
import type { Replica } from "../../api/endpoints";
import { Id } from "../../components/Command";
import { Empty } from "../../components/Notice";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { shortId } from "../../lib/format";

export function Replicas({ replicas }: { replicas: Replica[] }) {
  if (replicas.length === 0) return <Empty title="No replica exists" />;
  return (
    <Table
      label="Replicas"
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
