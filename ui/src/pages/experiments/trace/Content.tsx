// What went into a span or came out of it: a conversation, documents, a text, or JSON.
import { useMemo, useState } from "react";
import { valueOf } from "../../../api/traces";
import { Copy } from "../../../components/Command";
import { Icon } from "../../../components/Icon";
import { bytes } from "../../../lib/format";
import { indented } from "./json";
import { documentsOf, messagesOf, type Found, type Message, type Part } from "./messages";

/** More than anybody reads at once, and all that is laid out without a pause. */
const TEXT_MAX = 64 * 1024;

/** The value, and its text; some clients write JSON as a text within the JSON. */
function opened(json: string): { value: unknown; text: string } {
  const value = valueOf(json);
  if (typeof value !== "string") return { value, text: json };
  const inner = /^\s*[{[]/.test(value) ? valueOf(value) : value;
  return { value: inner, text: value };
}

export function Content({ label, json }: { label: string; json: string }) {
  const { value, text } = useMemo(() => opened(json), [json]);
  const messages = useMemo(() => messagesOf(value), [value]);
  const documents = useMemo(() => documentsOf(value), [value]);
  const [raw, setRaw] = useState(false);
  const shaped = messages !== undefined || documents !== undefined;
  return (
    <section className="content" aria-label={label}>
      <div className="content-head">
        <h3>{label}</h3>
        {shaped && <button type="button" className="link" aria-pressed={raw} onClick={() => setRaw(!raw)}>{raw ? (messages ? "Show as a conversation" : "Show as documents") : "Show as JSON"}</button>}
        <Copy text={text} label={`Copy the ${label.toLowerCase()}`} />
      </div>
      {raw || !shaped ? <Text text={typeof value === "string" ? value : indented(text)} code={typeof value !== "string"} />
        : messages ? <Conversation messages={messages} /> : <Documents found={documents ?? []} />}
    </section>
  );
}

/** A text, as much of it as is good for a page; all of it when asked. */
export function Text({ text, code }: { text: string; code: boolean }) {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > TEXT_MAX;
  return (
    <>
      {text === "" ? <p className="faint">Empty.</p> : <pre className={code ? "content-text" : "content-text prose"} dir="auto" tabIndex={0}>{cut ? text.slice(0, TEXT_MAX) : text}</pre>}
      {cut && <p className="soft">This is the beginning. <button type="button" className="link" onClick={() => setAll(true)}>Show all {bytes(text.length)}</button></p>}
    </>
  );
}

const json = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "");

function Conversation({ messages }: { messages: Message[] }) {
  return (
    <ol className="conversation">
      {messages.map((message, index) => (
        <li key={index} className={`message-of message-${["user", "assistant", "system", "tool"].includes(message.role) ? message.role : "other"}`}>
          <span className="message-role">{message.role}</span>
          {message.parts.length === 0 && <p className="faint">Empty.</p>}
          {message.parts.map((part, at) => <PartView key={at} part={part} />)}
        </li>
      ))}
    </ol>
  );
}

function PartView({ part }: { part: Part }) {
  if (part.kind === "text") return <Text text={part.text} code={false} />;
  if (part.kind === "call") return <><p className="message-call"><Icon name="right" />calls <code>{part.name}</code></p>{part.arguments !== undefined && <Text text={json(part.arguments)} code />}</>;
  if (part.kind === "result") return <Text text={json(part.content)} code />;
  return <details className="fold"><summary>{part.name}</summary><Text text={json(part.value)} code /></details>;
}

function Documents({ found }: { found: Found[] }) {
  return (
    <ol className="conversation">
      {found.map((one, index) => (
        <li key={index} className="message-of">
          <span className="message-role">document {index + 1}</span>
          {one.about.length > 0 && <p className="faint">{one.about.map(([key, value]) => `${key}: ${value}`).join(" · ")}</p>}
          <Text text={one.content} code={false} />
        </li>
      ))}
    </ol>
  );
}
