import { speaks, takesTensors, type EndpointView } from "../../../api/endpoints";
import { Empty } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { Chat } from "./Chat";
import { Infer } from "./Infer";
import type { Conversation } from "./useChat";

interface Props {
  endpoint: EndpointView;
  chat: Conversation;
}

/** Asks the model as any client would, by the session of who looks. */
export function Playground({ endpoint, chat }: Props) {
  const { name } = endpoint;
  return (
    <Panel title="Playground" aside={<code className="faint">{speaks(endpoint) ? "POST /v1/chat/completions" : `POST /v2/models/${name}/infer`}</code>}>
      <Asked endpoint={endpoint} chat={chat} />
    </Panel>
  );
}

function Asked({ endpoint, chat }: Props) {
  // What was said already stays to be read.
  if (endpoint.replicas_ready === 0 && chat.turns.length === 0) return <Empty title="No replica is ready">Requests are answered as soon as one is.</Empty>;
  if (speaks(endpoint)) return <Chat name={endpoint.name} chat={chat} />;
  if (takesTensors(endpoint)) return <Infer name={endpoint.name} />;
  return <Empty title={`There is no playground for ${endpoint.flavor} models`} />;
}
