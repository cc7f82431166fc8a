// How requests are routed, told in sentences; for those who may, a form to say it otherwise.
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { endpoints, type EndpointView } from "../../../api/endpoints";
import { Announce } from "../../../components/Announce";
import { Confirm } from "../../../components/Confirm";
import { Note } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { useMayServe } from "../../../lib/may";
import { RoutingForm } from "./RoutingForm";
import { routingSentences, ruleSentence } from "./words";

export function RoutingPanel({ endpoint }: { endpoint: EndpointView }) {
  const client = useQueryClient();
  const may = useMayServe();
  const [editing, setEditing] = useState(false);
  const [said, setSaid] = useState("");
  const change = useRef<HTMLButtonElement>(null);
  const edited = useRef(false);
  useEffect(() => {
    // Back to where the form was opened.
    if (!editing && edited.current) change.current?.focus();
    edited.current = editing;
  }, [editing]);
  const taken = (answer: EndpointView, words: string): void => {
    client.setQueryData(["endpoint", endpoint.name], answer);
    setEditing(false);
    setSaid(words);
  };
  const reset = async (): Promise<void> => taken(await endpoints.route(endpoint.name, {}), "The routing is back to its defaults");
  return (
    <Panel title="Routing" aside={<span className="faint">holds for requests that come from now on</span>}>
      <Announce text={said} />
      <Sentences endpoint={endpoint} />
      {!may ? <p className="soft">Those who may deploy endpoints may change it: ml-engineers and platform-admins.</p> : editing ? (
        <RoutingForm endpoint={endpoint} onSaved={(answer) => taken(answer, "The routing is changed")} onBack={() => setEditing(false)} />
      ) : (
        <div className="toolbar routing-actions">
          <button type="button" ref={change} className="button button-main" onClick={() => { setSaid(""); setEditing(true); }}>Change it</button>
          <Confirm label="Back to defaults" title={`Route ${endpoint.name} by the defaults?`} confirm="Back to defaults" danger action={reset}>
            <p>Strategy, retries, time-outs, limits, fallbacks and rules become what an endpoint has that nobody said anything of. Requests on their way are not touched.</p>
          </Confirm>
        </div>
      )}
    </Panel>
  );
}

function Sentences({ endpoint: { routing, routing_notes: notes = [], name } }: { endpoint: EndpointView }) {
  return (
    <>
      {notes.map((note) => <Note bad key={note}>{note}.</Note>)}
      <ul className="sentences">{routingSentences(routing).map((one) => <li key={one}>{one}</li>)}</ul>
      {routing.rules.length > 0 && (
        <>
          <h3>Rules <span className="faint">the first that holds decides</span></h3>
          <ol className="sentences rules">
            {routing.rules.map((rule, index) => <li key={index}><code className="id">rules[{index}]</code> <span>{ruleSentence(rule)}</span></li>)}
          </ol>
        </>
      )}
      <p className="faint">What it comes to is in each request's <Link to="/endpoints/$name" params={{ name }} search={{ tab: "requests" }}>record</Link>.</p>
    </>
  );
}
