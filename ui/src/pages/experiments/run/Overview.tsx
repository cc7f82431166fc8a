// What a run logged, at a glance: parameters, last values of metrics, tags; and what it is linked to.
import { useState, type ReactNode } from "react";
import type { TrackingRun } from "../../../api/tracking";
import { Empty } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { count, metric, plural } from "../../../lib/format";
import { isInternal } from "../columns";
import { Children } from "./Children";
import { Datasets, Models } from "./Linked";
import { Description, Tags } from "./Tags";

/** So many rows need no field to search them. */
const FEW = 8;
/** A run may have thousands of metrics; who looks for one of them types a part of its name. */
const SHOWN_MAX = 200;

export function Overview({ run }: { run: TrackingRun }) {
  const params = [...run.params].sort(([a], [b]) => a.localeCompare(b)).map(([key, value]) => ({ key, value, shown: <bdi className="whole">{value === "" ? <i className="faint">empty</i> : value}</bdi> }));
  const metrics = [...run.metrics.values()].sort((a, b) => a.key.localeCompare(b.key)).map((point) => ({
    key: point.key,
    value: String(point.value),
    shown: <span className="number" title={String(point.value)}>{metric(point.value)}{point.step !== 0 && <span className="faint"> at step {count(point.step)}</span>}</span>,
  }));
  const facts = [...run.tags].filter(([key]) => FACTS[key] !== undefined).map(([key, value]) => ({ name: FACTS[key] ?? key, value }));
  return (
    <>
      <Description run={run} />
      <div className="columns">
        <Pairs title="Parameters" many={plural(params.length, "parameter")} rows={params} none={<Empty title="No parameters">They are logged with <code>mlflow.log_params(…)</code></Empty>} />
        <Pairs title="Metrics" many={plural(metrics.length, "metric")} rows={metrics} none={<Empty title={run.state === "running" ? "No metrics yet" : "No metrics"}>They are logged with <code>mlflow.log_metric(…)</code></Empty>} />
      </div>
      <Children run={run} />
      <Datasets run={run} />
      <Models run={run} />
      <div className="columns">
        <Tags run={run} tags={[...run.tags].filter(([key]) => !isInternal(key))} />
        <Panel title="Source">
          <dl className="pairs one-column">
            {facts.map(({ name, value }) => <div key={name}><dt>{name}</dt><dd><code className="whole">{value}</code></dd></div>)}
            <div><dt>artifacts</dt><dd><code className="whole">{run.artifact_uri}</code></dd></div>
          </dl>
        </Panel>
      </div>
    </>
  );
}

const FACTS: Record<string, string> = {
  "mlflow.source.name": "source", "mlflow.source.type": "kind", "mlflow.source.git.commit": "commit", "mlflow.source.git.branch": "branch",
  "mlflow.source.git.repoURL": "repository", "mlflow.docker.image.uri": "image", "mlflow.project.entryPoint": "entry point",
};

interface PairsProps {
  title: string;
  many: string;
  rows: { key: string; value: string; shown: ReactNode }[];
  none: ReactNode;
}

/** Names and values, found by a part of either. */
export function Pairs({ title, many, rows, none }: PairsProps) {
  const [typed, setTyped] = useState("");
  const wanted = typed.trim().toLowerCase();
  const found = rows.filter(({ key, value }) => key.toLowerCase().includes(wanted) || value.toLowerCase().includes(wanted));
  const field = rows.length > FEW && <input type="search" className="pair-search" aria-label={`Find in ${title.toLowerCase()}`} placeholder={`Find among ${many}`} spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />;
  return (
    <Panel title={title} aside={field || <span className="faint">{many}</span>}>
      {rows.length === 0 ? none : found.length === 0 ? <p className="soft">Nothing has “{typed.trim()}” in its name or value.</p> : (
        <div className="pair-box" tabIndex={0} role="group" aria-label={title}>
          <table>
            <tbody>{found.slice(0, SHOWN_MAX).map(({ key, shown }) => <tr key={key}><th scope="row"><bdi>{key}</bdi></th><td>{shown}</td></tr>)}</tbody>
          </table>
          {found.length > SHOWN_MAX && <p className="soft">{count(found.length - SHOWN_MAX)} more: type a part of the name.</p>}
        </div>
      )}
    </Panel>
  );
}
