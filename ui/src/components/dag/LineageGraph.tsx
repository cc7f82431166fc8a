// Where a thing came from and where it went: data → run → model → endpoint.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lineage, type LineageDirection, type LineageNode } from "../../api/lineage";
import { Empty, ErrorNote, Skeleton } from "../Notice";
import { Graph } from "./Graph";
import { pageOf } from "./pageOf";

const SIZE = { nodeWidth: 190, nodeHeight: 50, gapX: 48, gapY: 12 };
const KINDS: Record<string, string> = { version: "Data", run: "Run", model: "Model", endpoint: "Endpoint" };

function Node({ node, here, tabIndex }: { node: LineageNode; here: boolean; tabIndex: 0 | -1 }) {
  const target = pageOf(node.id);
  const content = (
    <>
      <span className="node-over">{KINDS[node.kind] ?? node.kind}</span>
      <span className="node-title" title={node.id}>{node.label}</span>
    </>
  );
  const className = `node lineage-${node.kind}${here ? " chosen" : ""}`;
  if (!target) return <button type="button" className={className} tabIndex={tabIndex}>{content}</button>;
  return (
    <Link className={className} tabIndex={tabIndex} to={target.to} params={target.params} search={target.search} aria-current={here ? "true" : undefined}>
      {content}
    </Link>
  );
}

export function LineageGraph({ node, direction = "both" }: { node: string; direction?: LineageDirection }) {
  const query = useQuery({ queryKey: ["lineage", node, direction], queryFn: () => lineage(node, direction), refetchInterval: 10_000 });
  if (query.isPending) return <Skeleton lines={3} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const { nodes, edges } = query.data;
  if (edges.length === 0) return <Empty title="Nothing is linked to this yet" />;
  const byId = new Map(nodes.map((one) => [one.id, one]));
  return (
    <Graph
      label="Lineage"
      ids={nodes.map((one) => one.id)}
      edges={edges}
      size={SIZE}
      current={node}
      node={(id, tabIndex) => {
        const found = byId.get(id);
        return found && <Node node={found} here={id === node} tabIndex={tabIndex} />;
      }}
    />
  );
}
