import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { data } from "../../api/data";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { bytes, count, shortId } from "../../lib/format";

export function DatasetsPage() {
  const query = useQuery({ queryKey: ["datasets"], queryFn: data.datasets, refetchInterval: 5000 });
  return (
    <>
      <PageHead title="Data" />
      {query.isPending ? <Skeleton lines={6} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : query.data.items.length === 0 ? (
        <Empty title="No dataset yet" command="corliss data add ./folder --name NAME">
          A folder named under <code>data:</code> in a project file becomes an immutable version here, stored once. So does one that you add:
        </Empty>
      ) : (
        <Table
          label="Datasets"
          rows={query.data.items}
          rowKey={(dataset) => dataset.name}
          columns={[
            { head: "Dataset", wide: true, cell: (dataset) => <Link to="/data/$name" params={{ name: dataset.name }} className="row-link"><b>{dataset.name}</b></Link> },
            { head: "Latest", cell: (dataset) => <Link to="/data/versions/$version" params={{ version: dataset.latest }} className="id" title={dataset.latest}>{shortId(dataset.latest)}</Link> },
            { head: "Versions", cell: (dataset) => count(dataset.versions), number: true },
            { head: "Files", cell: (dataset) => count(dataset.files), number: true },
            { head: "Size", cell: (dataset) => bytes(dataset.size_bytes), number: true },
            { head: "Changed", cell: (dataset) => <Ago at={dataset.updated_ms} /> },
          ]}
        />
      )}
    </>
  );
}
