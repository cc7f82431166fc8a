// What went in and what came out of the run as a whole.
import { Link } from "@tanstack/react-router";
import { sentence } from "../../api/errors";
import type { RunDetail } from "../../api/runs";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { shortId } from "../../lib/format";

export function RunFacts({ run }: { run: RunDetail }) {
  return (
    <>
      <div className="columns">
        <Panel title="Results">
          {run.models.length === 0 && run.endpoints.length === 0 && <p className="soft">This run registers no model and deploys no endpoint.</p>}
          <ul className="plain-list">
            {run.models.map((model) => (
              <li key={model.name}>
                <span>
                  Model <Link to="/models/$name" params={{ name: model.name }} search={{ version: model.version ?? undefined }}>{model.name}{model.version ? ` version ${model.version}` : ""}</Link>
                </span>
                <State state={model.state} />
                {model.reason && <p className="soft">{sentence(model.reason)}</p>}
              </li>
            ))}
            {run.endpoints.map((endpoint) => (
              <li key={endpoint.name}>
                <span>Endpoint <Link to="/endpoints/$name" params={{ name: endpoint.name }}>{endpoint.name}</Link></span>
                <State state={endpoint.state} />
                {endpoint.reason && <p className="soft">{sentence(endpoint.reason)}</p>}
              </li>
            ))}
          </ul>
        </Panel>
        <Panel title="Pinned at submit">
          <dl className="pairs">
            {Object.entries(run.data).map(([name, version]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd><Link className="id" to="/data/versions/$version" params={{ version }} title={version}>{shortId(version)}</Link></dd>
              </div>
            ))}
            {Object.entries(run.params ?? {}).map(([name, value]) => (
              <div key={`param ${name}`}><dt>{name}</dt><dd><code>{value}</code></dd></div>
            ))}
            {run.source && (
              <div>
                <dt>code</dt>
                <dd><Link className="id" to="/data/versions/$version" params={{ version: run.source }} title={run.source}>{shortId(run.source)}</Link></dd>
              </div>
            )}
          </dl>
        </Panel>
      </div>
      <Panel title="Lineage"><LineageGraph node={`run:${run.id}`} /></Panel>
      <details className="file">
        <summary>Project file</summary>
        <pre tabIndex={0}>{run.project_file}</pre>
      </details>
    </>
  );
}
