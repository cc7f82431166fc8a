import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { EndpointView, RequestRecord } from "../../../api/endpoints";
import { Copy } from "../../../components/Command";
import { Dialog } from "../../../components/Dialog";
import { State } from "../../../components/State";
import { absolute, count } from "../../../lib/format";
import { attempts, micros, outcome, why } from "./words";

interface Props {
  record: RequestRecord;
  endpoint: EndpointView;
  onClose: () => void;
}

/** All that is known of one request. */
export function RequestDetails({ record, endpoint, onClose }: Props) {
  const text = record.prompt_tokens > 0 || record.completion_tokens > 0;
  const pairs: [string, ReactNode][] = [
    ["Came", absolute(record.at_ms)],
    ["Caller", <bdi key="caller">{record.caller}</bdi>],
    ["Outcome", <><State state={record.outcome} />{record.error && <> <code>{record.error}</code></>}</>],
    ["Replica", record.replica === null ? "none" : <code>{record.replica}</code>],
    ["Version", record.version ?? "–"],
    ["Why that one", why(record.reason)],
    ["Replicas asked", attempts(record)],
  ];
  if (record.rule !== undefined) pairs.push(["Decided by", <Link key="rule" to="/endpoints/$name" params={{ name: record.instead_of ?? endpoint.name }} search={{ tab: "routing" }}><code>rules[{record.rule}]</code></Link>]);
  if (record.instead_of) pairs.push(["Asked for", <Link key="asked" to="/endpoints/$name" params={{ name: record.instead_of }}><bdi>{record.instead_of}</bdi></Link>]);
  pairs.push(["First answer after", micros(record.first_us)], ["In all", micros(record.total_us)]);
  if (text) pairs.push(["Tokens of the prompt", `${count(record.prompt_tokens)}, ${count(record.cached_tokens)} of them cached`], ["Tokens of the answer", record.outcome === "answered" ? count(record.completion_tokens) : "not counted: it did not end"]);
  if (text && record.first_us !== null && record.completion_tokens > 1 && record.total_us > record.first_us) {
    pairs.push(["After the first", `${(((record.completion_tokens - 1) * 1e6) / (record.total_us - record.first_us)).toFixed(0)} tokens/s`]);
  }
  if (record.queue_us !== undefined) {
    pairs.push(["Waited for a place", micros(record.queue_us)], ["Prompt read in", micros(record.prefill_us ?? 0)], ["Answer written in", micros(record.decode_us ?? 0)]);
    pairs.push(["Sequences in its batches", `${(record.batch_mean ?? 0).toFixed(1)} on average`]);
  }
  return (
    <Dialog title="Request" onClose={onClose}>
      <p className="request-id"><code className="whole">{record.id}</code> <Copy text={record.id} label="Copy the request's id" /></p>
      <p className="soft">{outcome(record.outcome)} Its id is in the answer's header <code>x-request-id</code>.</p>
      <dl className="request-facts">{pairs.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <div className="dialog-actions"><button type="button" className="button" onClick={onClose}>Close</button></div>
    </Dialog>
  );
}
