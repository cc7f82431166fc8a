// One span beside the waterfall: what went in and came out, its attributes, what happened during it.
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { costOf, tokensOf, valueOf, type SpanEvent, type TraceSpan } from "../../../api/traces";
import { Copy, Id } from "../../../components/Command";
import { Empty, Note } from "../../../components/Notice";
import { State } from "../../../components/State";
import { Tabs } from "../../../components/Tabs";
import { count } from "../../../lib/format";
import { dollars, tokenCount, tokenTitle } from "../traces/columns";
import { Content, Text } from "./Content";
import { indented } from "./json";
import type { Node } from "./spanTree";
import { fine } from "./timeAxis";
import { familyOf, typeWords } from "./types";

const INPUTS = "mlflow.spanInputs";
const OUTPUTS = "mlflow.spanOutputs";
/** Shown elsewhere on the page. */
const ELSEWHERE = new Set([INPUTS, OUTPUTS, "mlflow.spanType", "mlflow.traceRequestId"]);

interface Props {
  experiment: string;
  node: Node;
  /** More spans may come. */
  live: boolean;
  tab: string | undefined;
  onTab: (tab: string | undefined) => void;
}

export function SpanPanel({ experiment, node, live, tab, onTab }: Props) {
  const { span } = node;
  const attributes = [...span.attributes].filter(([key]) => !ELSEWHERE.has(key));
  const tabs = [
    { id: "content", label: "Input and output" },
    { id: "attributes", label: `Attributes (${count(attributes.length)})` },
    { id: "events", label: `Events (${count(span.events.length)})` },
  ];
  const current = tabs.find((one) => one.id === tab)?.id ?? "content";
  const type = typeWords(span.type);
  return (
    <section className="span-panel" aria-label={`Span ${span.name}`}>
      <h3 className="span-title"><i className={`wf-dot ${familyOf(span.type)}`} /><bdi>{span.name}</bdi>{type && <span className="chip">{type}</span>}</h3>
      <SpanFacts span={span} />
      {span.message && <Note bad={span.status === "error"}>{span.message}</Note>}
      {node.orphan && <p className="soft">The span it belongs to{span.parent ? ` (${span.parent})` : ""} {live ? "has not come yet" : "is not here"}.</p>}
      <Tabs label={`Span ${span.name}`} tabs={tabs} current={current} onChange={(to) => onTab(to === "content" ? undefined : to)}>
        {current === "content" && <InAndOut key={span.id} span={span} />}
        {current === "attributes" && <Attributes key={span.id} pairs={attributes} />}
        {current === "events" && <Events key={span.id} span={span} />}
      </Tabs>
      {span.links.length > 0 && (
        <p className="span-links">Linked to {span.links.map((link, index) => (
          <span key={index}>{index > 0 && ", "}<Link to="/experiments/$experiment/traces/$trace" params={{ experiment, trace: link.trace }} search={{ span: link.span }} className="id">{link.trace.slice(0, 11)}…</Link></span>
        ))}</p>
      )}
    </section>
  );
}

function SpanFacts({ span }: { span: TraceSpan }) {
  const tokens = tokensOf(span.attributes.get("mlflow.chat.tokenUsage"));
  const total = tokenCount({ tokens });
  const cost = costOf(span.attributes.get("mlflow.llm.cost"));
  const [model, provider] = ["mlflow.llm.model", "mlflow.llm.provider"].map((key) => {
    const value = valueOf(span.attributes.get(key) ?? "");
    return typeof value === "string" && value !== "" ? value : undefined;
  });
  return (
    <div className="facts">
      <State state={span.status} />
      <span className="number">{span.end_us === undefined ? "goes on" : `took ${fine(span.end_us - span.start_us)}`}</span>
      <span className="number">began at {fine(span.start_us)}</span>
      {model && <span>{model}{provider && <span className="faint"> by {provider}</span>}</span>}
      {total !== undefined && <span className="number" title={tokenTitle({ tokens })}>{count(total)} tokens{tokens.input !== undefined && tokens.output !== undefined && <span className="faint"> ({count(tokens.input)} in, {count(tokens.output)} out)</span>}</span>}
      {cost !== undefined && <span className="number">{dollars(cost)}</span>}
      {span.kind !== "internal" && span.kind !== "" && <span className="faint">{span.kind}</span>}
      <span className="faint"><Id id={span.id} short={span.id.slice(0, 8)} /> <Copy text={span.id} label="Copy the span's id" /></span>
    </div>
  );
}

function InAndOut({ span }: { span: TraceSpan }) {
  const [input, output] = [span.attributes.get(INPUTS), span.attributes.get(OUTPUTS)];
  const failures = span.events.filter(isException);
  if (input === undefined && output === undefined && failures.length === 0) return <Empty title={span.end_us === undefined ? "Nothing yet" : "No input or output"}>{span.end_us === undefined ? "The span goes on." : <>They are set with <code>span.set_inputs(…)</code> and <code>span.set_outputs(…)</code></>}</Empty>;
  return (
    <>
      {failures.map((event, index) => <Failure key={index} event={event} />)}
      {input !== undefined && <Content label="Input" json={input} />}
      {output !== undefined && <Content label="Output" json={output} />}
    </>
  );
}

const isException = (event: SpanEvent): boolean => event.name === "exception";

const said = (value: unknown): string => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));

function Failure({ event }: { event: SpanEvent }) {
  const [type, message, trace] = ["type", "message", "stacktrace"].map((part) => said(event.attributes[`exception.${part}`]));
  return (
    <section className="content failure" aria-label="Exception">
      <p><b className="tone-bad">{type || "Exception"}</b> {message}</p>
      {trace && <details className="fold"><summary>Where it was raised</summary><Text text={trace} code /></details>}
    </section>
  );
}

/** So many need no field to search them. */
const FEW = 8;

function Attributes({ pairs }: { pairs: [string, string][] }) {
  const [typed, setTyped] = useState("");
  const wanted = typed.trim().toLowerCase();
  const found = pairs.filter(([key, text]) => key.toLowerCase().includes(wanted) || text.toLowerCase().includes(wanted));
  if (pairs.length === 0) return <Empty title="No attributes">They are set with <code>span.set_attribute(…)</code></Empty>;
  return (
    <>
      {pairs.length > FEW && <input type="search" className="pair-search span-find" aria-label="Find in attributes" placeholder="Find an attribute" spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />}
      {found.length === 0 ? <p className="soft">Nothing has “{typed.trim()}” in its name or value.</p> : (
        <dl className="span-pairs">{found.map(([key, text]) => <div key={key}><dt><bdi>{key}</bdi></dt><dd><Value json={text} /></dd></div>)}</dl>
      )}
    </>
  );
}

function Value({ json }: { json: string }) {
  const value = valueOf(json);
  if (typeof value === "string") return value.length > 200 || value.includes("\n") ? <Text text={value} code={false} /> : <bdi className="whole">{value === "" ? <i className="faint">empty</i> : value}</bdi>;
  if (typeof value === "object" && value !== null) return <Text text={indented(json)} code />;
  return <code>{json}</code>;
}

function Events({ span }: { span: TraceSpan }) {
  if (span.events.length === 0) return <Empty title="No events">They are added with <code>span.add_event(…)</code></Empty>;
  return (
    <ol className="span-events">
      {span.events.slice(0, EVENTS_MAX).map((event, index) => (
        <li key={index}>
          <p><b className={isException(event) ? "tone-bad" : undefined}><bdi>{event.name}</bdi></b> <span className="faint number">{event.at_us >= span.start_us ? `${fine(event.at_us - span.start_us)} after it began` : "before it began"}</span></p>
          {isException(event) ? <Failure event={event} /> : Object.keys(event.attributes).length > 0 && <dl className="span-pairs">{Object.entries(event.attributes).map(([key, value]) => <div key={key}><dt><bdi>{key}</bdi></dt><dd><Value json={JSON.stringify(value)} /></dd></div>)}</dl>}
        </li>
      ))}
      {span.events.length > EVENTS_MAX && <li className="soft">{count(span.events.length - EVENTS_MAX)} more are there: read them with the client.</li>}
    </ol>
  );
}

/** A streamed answer has an event for each piece. */
const EVENTS_MAX = 300;
