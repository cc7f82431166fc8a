import { Command, Copy } from "../../../components/Command";

/** What an empty list says: the three lines that make the first trace. */
export function FirstTrace({ title, experiment }: { title: string; experiment?: string }) {
  const lines = [
    `import mlflow${experiment === undefined ? "" : `; mlflow.set_experiment(${JSON.stringify(experiment)})`}`,
    'with mlflow.start_span("answer", span_type="LLM") as span:',
    '    span.set_inputs({"question": "Capital of France?"}); span.set_outputs("Paris")',
  ].join("\n");
  return (
    <div className="empty">
      <h3>{title}</h3>
      <p className="soft">A trace is what an application did with one request. Tell the ordinary mlflow client where this server is, then trace from Python:</p>
      <Command text={'eval "$(corliss env)"'} />
      <div className="snippet"><pre><code>{lines}</code></pre><Copy text={lines} label="Copy these lines" /></div>
      <p className="soft"><code>@mlflow.trace</code> traces a function, <code>mlflow.openai.autolog()</code> and its kin trace a library, and any exporter of OpenTelemetry may send to <code>/v1/traces</code>.</p>
    </div>
  );
}
