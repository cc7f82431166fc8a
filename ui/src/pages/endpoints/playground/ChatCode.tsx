import { useState } from "react";
import { Copy } from "../../../components/Command";
import { Tabs } from "../../../components/Tabs";
import { curlChat, pythonChat, type ChatRequest } from "./snippets";
import { messagesOf, optionsOf, type Settings, type Turn } from "./useChat";

interface Props {
  name: string;
  turns: Turn[];
  settings: Settings;
}

const TABS = [{ id: "curl", label: "curl" }, { id: "python", label: "Python" }];

/** The request that Send would send, or the last one that it sent, for elsewhere. */
export function ChatCode({ name, turns, settings }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <details className="fold" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The same request as code</summary>
      {open && <Code request={requestOf(name, turns, settings)} />}
    </details>
  );
}

function Code({ request }: { request: ChatRequest }) {
  const [tab, setTab] = useState("curl");
  const text = tab === "curl" ? curlChat(window.location.origin, request) : pythonChat(window.location.origin, request);
  return (
    <Tabs label="Language" tabs={TABS} current={tab} onChange={setTab}>
      <div className="request-code">
        <pre tabIndex={0} aria-label={`The request in ${tab}`}>{text}</pre>
        <Copy text={text} label={tab === "curl" ? "Copy as curl" : "Copy as Python"} />
      </div>
      <p className="faint">The token is not in it: <code>eval "$(corliss env)"</code> sets <code>CORLISS_TOKEN</code> and <code>OPENAI_API_KEY</code>.</p>
    </Tabs>
  );
}

function requestOf(name: string, turns: Turn[], settings: Settings): ChatRequest {
  const typed = settings.text.trim() !== "";
  const last = turns.map((turn) => turn.role).lastIndexOf("user");
  const said = messagesOf(typed ? turns : turns.slice(0, last + 1), settings);
  const messages = said.some((one) => one.role === "user") ? said : [...said, { role: "user" as const, content: "What is a flywheel?" }];
  return { model: name, messages, ...optionsOf(settings), stream: true };
}
