// What goes into a model and comes out, as its own description says, with an example.
import { useQuery } from "@tanstack/react-query";
import { models, type VersionDetail } from "../../api/models";
import { ErrorNote } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { Table } from "../../components/Table";
import { parts, type Part } from "./words";

/** What is shown of an example. */
const EXAMPLE_BYTES = 4096;

export function Signature({ name, version }: { name: string; version: VersionDetail }) {
  const said = version.model;
  const [inputs, outputs, params] = [parts(said?.inputs), parts(said?.outputs), parts(said?.params)];
  const example = said?.input_example;
  if (inputs === undefined && outputs === undefined && example === undefined) return null;
  return (
    <Panel title="Signature">
      {inputs && <Parts label="Inputs" rows={inputs} />}
      {outputs && <Parts label="Outputs" rows={outputs} />}
      {params && params.length > 0 && <Parts label="Parameters" rows={params} />}
      {example && <Example name={name} version={version.version} path={example} />}
    </Panel>
  );
}

function Parts({ label, rows }: { label: string; rows: Part[] }) {
  return <Table<Part> label={label} rows={rows} rowKey={(one) => one.name} columns={[{ head: label, wide: true, cell: (one) => <bdi>{one.name}</bdi> }, { head: "Type", cell: (one) => one.type }]} />;
}

function Example({ name, version, path }: { name: string; version: number; path: string }) {
  const query = useQuery({
    queryKey: ["model", name, "example", version, path],
    queryFn: ({ signal }) => models.file(name, version, path, EXAMPLE_BYTES, signal),
    staleTime: Infinity,
  });
  if (query.isError) return <ErrorNote error={query.error} />;
  if (query.data === undefined) return null;
  const text = new TextDecoder().decode(query.data.bytes);
  return (
    <figure>
      <figcaption className="soft">Example of an input (<bdi>{path}</bdi>){!query.data.whole && ", its beginning"}</figcaption>
      <pre tabIndex={0}>{text}</pre>
    </figure>
  );
}
