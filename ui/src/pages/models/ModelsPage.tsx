import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { models } from "../../api/models";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";

export function ModelsPage() {
  const query = useQuery({ queryKey: ["models"], queryFn: models.list, refetchInterval: 5000 });
  return (
    <>
      <PageHead title="Models" />
      {query.isPending ? <Skeleton lines={6} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : query.data.items.length === 0 ? (
        <Empty title="No model yet" command="corliss run examples/chat/corliss.yaml">
          A run registers a model when its gate passes, with the data, code and metrics it came from. This one registers a language model:
        </Empty>
      ) : (
        <Table
          label="Models"
          rows={query.data.items}
          rowKey={(model) => model.name}
          columns={[
            { head: "Model", wide: true, cell: (model) => <Link to="/models/$name" params={{ name: model.name }} className="row-link"><b>{model.name}</b></Link> },
            { head: "Latest version", cell: (model) => model.latest_version ?? <span className="faint">–</span>, number: true },
            { head: "Aliases", cell: (model) => <Aliases aliases={model.aliases} /> },
            { head: "Changed", cell: (model) => <Ago at={model.updated_ms} /> },
          ]}
        />
      )}
    </>
  );
}

function Aliases({ aliases }: { aliases: Record<string, number> }) {
  const all = Object.entries(aliases).sort(([a], [b]) => a.localeCompare(b));
  if (all.length === 0) return <span className="faint">none</span>;
  return all.map(([alias, version]) => <span key={alias} className="chip chip-brass">{alias} → {version}</span>);
}
