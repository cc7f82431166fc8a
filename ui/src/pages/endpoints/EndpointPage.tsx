import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { endpoints, type EndpointView } from "../../api/endpoints";
import { sentence } from "../../api/errors";
import { Announce } from "../../components/Announce";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { Empty, ErrorNote, Note, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { plural } from "../../lib/format";
import { Chat } from "./Chat";
import { serving } from "./EndpointsTable";
import { Infer } from "./Infer";
import { Replicas } from "./Replicas";

export function EndpointPage() {
  const { name } = useParams({ from: "/endpoints/$name" });
  const query = useQuery({ queryKey: ["endpoint", name], queryFn: () => endpoints.get(name), refetchInterval: 2000 });
  const over = <Link {...CRUMB} to="/endpoints">Endpoints</Link>;
  if (query.isPending) return <><PageHead title={name} over={over} /><Skeleton lines={6} /></>;
  if (query.data === undefined) return <><PageHead title={name} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/endpoints", label: "All endpoints" }} /></>;
  const endpoint = query.data;
  return (
    <>
      <PageHead
        title={name}
        over={over}
        facts={
          <>
            <State state={endpoint.state} />
            <span>serves <Link to="/models/$name" params={{ name: endpoint.model_name ?? endpoint.model.split(/[@/]/)[0] ?? endpoint.model }} search={{ version: Number(endpoint.serving_version ?? endpoint.desired_version) }}>{endpoint.model}</Link></span>
            <span>version {serving(endpoint)}</span>
            <span>{endpoint.replicas_ready} of {plural(endpoint.replicas_desired, "replica")} ready</span>
            <span className="number">{plural(endpoint.requests_total, "request")}</span>
          </>
        }
      />
      <Announce text={`Endpoint ${endpoint.state}, ${endpoint.replicas_ready} of ${plural(endpoint.replicas_desired, "replica")} ready`} />
      {endpoint.reason && <Note bad={endpoint.state === "failed"}>{sentence(endpoint.reason)}</Note>}
      <Panel title="Try it" aside={<span className="faint">{endpoint.flavor === "gguf" ? "POST /v1/chat/completions" : `POST /v2/models/${name}/infer`}</span>}>
        <TryIt endpoint={endpoint} />
      </Panel>
      <Panel title="Replicas"><Replicas replicas={endpoint.replicas} /></Panel>
      <Panel title="Lineage"><LineageGraph node={`endpoint:${name}`} direction="up" /></Panel>
    </>
  );
}

function TryIt({ endpoint }: { endpoint: EndpointView }) {
  if (endpoint.replicas_ready === 0) return <Empty title="No replica is ready">Requests are answered as soon as one is.</Empty>;
  if (endpoint.flavor === "gguf") return <Chat name={endpoint.name} />;
  if (endpoint.flavor === "onnx") return <Infer name={endpoint.name} />;
  return <Empty title={`There is no try-it box for ${endpoint.flavor} models`} />;
}
