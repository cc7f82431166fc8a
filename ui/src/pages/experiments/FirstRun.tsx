import { Command, Copy } from "../../components/Command";

/** What an empty list says: the two lines that make the first run. */
export function FirstRun({ title, experiment }: { title: string; experiment?: string }) {
  const lines = [`import mlflow${experiment === undefined ? "" : `; mlflow.set_experiment(${JSON.stringify(experiment)})`}`, 'mlflow.log_metric("loss", 0.5)'].join("\n");
  return (
    <div className="empty">
      <h3>{title}</h3>
      <p className="soft">Tell the ordinary mlflow client where this server is, then log from Python:</p>
      <Command text={'eval "$(corliss env)"'} />
      <div className="snippet"><pre><code>{lines}</code></pre><Copy text={lines} label="Copy these lines" /></div>
    </div>
  );
}
