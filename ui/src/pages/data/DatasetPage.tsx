import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { data } from "../../api/data";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { bytes, count, plural, shortId } from "../../lib/format";

export function DatasetPage() {
  const { name } = useParams({ from: "/data/$name" });
  const query = useQuery({ queryKey: ["dataset", name], queryFn: () => data.dataset(name), refetchInterval: 5000 });
  const over = <Link {...CRUMB} to="/data">Data</Link>;
  if (query.isPending) return <><PageHead title={name} over={over} /><Skeleton lines={6} /></>;
  if (query.isError) return <><PageHead title={name} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/data", label: "All data" }} /></>;
  const dataset = query.data;
  return (
    <>
      <PageHead title={name} over={over} facts={<span>{plural(dataset.versions, "version")}</span>} />
      <Panel title="Versions">
        <Table
          label="Versions"
          rows={dataset.history}
          rowKey={(one) => `${one.version} ${one.created_ms}`}
          columns={[
            { head: "Version", cell: (one) => <Link to="/data/versions/$version" params={{ version: one.version }} className="id" title={one.version}>{shortId(one.version)}</Link> },
            { head: "Message", wide: true, cell: (one) => one.message || <span className="faint">–</span> },
            { head: "Files", cell: (one) => count(one.files), number: true },
            { head: "Size", cell: (one) => bytes(one.size_bytes), number: true },
            { head: "Made", cell: (one) => <Ago at={one.created_ms} /> },
          ]}
        />
      </Panel>
      <Panel title="What the latest version led to"><LineageGraph node={`version:${dataset.latest}`} direction="down" /></Panel>
    </>
  );
}
