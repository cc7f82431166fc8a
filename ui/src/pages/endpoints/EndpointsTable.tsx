import { Link } from "@tanstack/react-router";
import type { EndpointView } from "../../api/endpoints";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { count } from "../../lib/format";

export function EndpointsTable({ endpoints }: { endpoints: EndpointView[] }) {
  return (
    <Table
      label="Endpoints"
      rows={endpoints}
      rowKey={(one) => one.name}
      columns={[
        { head: "Endpoint", wide: true, cell: (one) => <Link to="/endpoints/$name" params={{ name: one.name }} className="row-link"><b>{one.name}</b></Link> },
        { head: "State", cell: (one) => <State state={one.state} /> },
        { head: "Model", cell: (one) => (one.service ? <>{one.model} <span className="faint">elsewhere</span></> : one.model) },
        { head: "Version", cell: serving, number: true },
        { head: "Replicas", cell: (one) => `${one.replicas_ready}/${one.replicas_desired}`, number: true },
        { head: "Requests", cell: (one) => count(one.requests_total), number: true },
        { head: "Changed", cell: (one) => <Ago at={one.updated_ms} /> },
      ]}
    />
  );
}

/** The version that answers, and the one that is on its way. */
export function serving(one: EndpointView): string {
  if (one.service) return "–";
  const now = one.serving_version ?? undefined;
  if (now === undefined) return `→ ${one.desired_version}`;
  return String(now) === String(one.desired_version) ? String(now) : `${now} → ${one.desired_version}`;
}
