import type { Service } from "../../api/endpoints";
import { Id } from "../../components/Command";
import { Table } from "../../components/Table";
import { shortId } from "../../lib/format";

/** Where the service behind an endpoint is. */
export function Targets({ service }: { service: Service }) {
  return (
    <Table
      label="Addresses"
      rows={service.targets}
      rowKey={(one) => one.id}
      columns={[
        { head: "Target", cell: (one) => <Id id={one.id} short={shortId(one.id)} /> },
        { head: "Address", wide: true, cell: (one) => <code>{one.url}</code> },
        { head: "Weight", cell: (one) => one.weight, number: true },
      ]}
    />
  );
}
