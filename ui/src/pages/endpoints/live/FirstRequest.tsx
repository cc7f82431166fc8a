import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { EndpointView } from "../../../api/endpoints";
import { metadata } from "../../../api/inference";
import { Empty } from "../../../components/Notice";
import { curlChat, curlInfer } from "../playground/snippets";
import { formatRequest } from "../playground/tensors";

/** A line for the terminal is not longer. */
const LINE_MAX = 1500;

/** What an endpoint shows that nobody has asked yet: how to ask it. */
export function FirstRequest({ endpoint }: { endpoint: EndpointView }) {
  const tensors = (endpoint.flavor === "onnx" || endpoint.flavor === "pyfunc") && endpoint.replicas_ready > 0;
  const model = useQuery({ queryKey: ["metadata", endpoint.name], queryFn: () => metadata(endpoint.name), staleTime: 60_000, enabled: tensors });
  const command = commandFor(endpoint, model.data && formatRequest(model.data));
  return (
    <Empty title="No requests yet" command={command && ['eval "$(corliss env)"', command]}>
      {endpoint.replicas_ready === 0 ? "Requests are answered as soon as a replica is ready." : (
        <>
          Ask it in the <Link to="/endpoints/$name" params={{ name: endpoint.name }} search={{ tab: "playground" }}>playground</Link>
          {command && ", or in a terminal:"}
        </>
      )}
    </Empty>
  );
}

function commandFor(endpoint: EndpointView, request: string | undefined): string | undefined {
  if (endpoint.replicas_ready === 0) return undefined;
  if (endpoint.flavor === "gguf") return curlChat(window.location.origin, { model: endpoint.name, messages: [{ role: "user", content: "What is a flywheel?" }], max_tokens: 64 });
  if (request === undefined) return undefined;
  const line = curlInfer(window.location.origin, endpoint.name, request);
  return line.length <= LINE_MAX ? line : undefined;
}
