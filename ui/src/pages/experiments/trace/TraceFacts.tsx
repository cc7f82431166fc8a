// A trace's state and figures on one line, and the ways to what it belongs with: run, model, session, user, prompts.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { traces, valueOf, type Trace } from "../../../api/traces";
import { tracking } from "../../../api/tracking";
import { Copy, Id } from "../../../components/Command";
import { State } from "../../../components/State";
import { Ago, Span } from "../../../components/Time";
import { count, duration } from "../../../lib/format";
import { dollars, tokenCount, tokenTitle } from "../traces/columns";
import { ofModel, ofSession, ofUser } from "../traces/filter";

export function TraceFacts({ trace }: { trace: Trace }) {
  const tokens = tokenCount(trace);
  return (
    <>
      <State state={trace.state} />
      <span>began <Ago at={trace.started_ms} /></span>
      <span>{trace.took_ms === undefined || trace.state === "in_progress" ? <>for <Span from={trace.started_ms} /></> : `took ${duration(trace.took_ms)}`}</span>
      {tokens !== undefined && <span className="number" title={tokenTitle(trace)}>{count(tokens)} tokens</span>}
      {trace.cost !== undefined && <span className="number">{dollars(trace.cost)}</span>}
      {trace.run && <RunOf id={trace.run} how="in run" />}
      <LinkedRuns trace={trace} />
      {trace.model && <ModelOf trace={trace} id={trace.model} />}
      {trace.session && <span>session <Search trace={trace} filter={ofSession(trace.session)} text={trace.session} /></span>}
      {trace.user && <span>user <Search trace={trace} filter={ofUser(trace.user)} text={trace.user} /></span>}
      {promptsOf(trace).map((one) => <span key={`${one.name} ${one.version}`}>prompt <Search trace={trace} filter={`prompt = '${`${one.name}/${one.version}`.replaceAll("'", "''")}'`} text={`${one.name} ${one.version}`} /></span>)}
      <span>id <Id id={trace.id} short={trace.id.slice(0, 11)} /> <Copy text={trace.id} label="Copy the trace's id" /></span>
    </>
  );
}

/** Leads to all traces of the experiment that a filter finds. */
function Search({ trace, filter, text }: { trace: Trace; filter: string; text: string }) {
  return <Link to="/experiments/$experiment" params={{ experiment: trace.experiment }} search={{ tab: "traces", tq: filter }}><bdi>{text}</bdi></Link>;
}

/** Runs that it was linked to after it was made, such as evaluations. */
function LinkedRuns({ trace }: { trace: Trace }) {
  const query = useQuery({ queryKey: ["trace-runs", trace.id], queryFn: () => traces.runs(trace.id), staleTime: 10_000 });
  const linked = query.data?.ids.filter((id) => id !== trace.run) ?? [];
  return <>{linked.map((id) => <RunOf key={id} id={id} how="linked to run" />)}{query.data?.more && <span>and to more runs</span>}</>;
}

function RunOf({ id, how }: { id: string; how: string }) {
  const query = useQuery({ queryKey: ["tracking", id], queryFn: () => tracking.run(id), staleTime: 60_000, structuralSharing: false });
  if (!query.data) return <span>{how} <code className="id">{id.slice(0, 8)}</code></span>;
  return <span>{how} <Link to="/experiments/$experiment/runs/$run" params={{ experiment: query.data.experiment, run: id }} search={{ tab: "traces" }}>{query.data.name}</Link></span>;
}

/** The logged model that answered: its run, where its files are, and the versions that it was registered as. */
function ModelOf({ trace, id }: { trace: Trace; id: string }) {
  const query = useQuery({ queryKey: ["logged-model", id], queryFn: () => tracking.loggedModel(id), staleTime: 60_000 });
  const model = query.data;
  const registered = useQuery({ queryKey: ["registered-of", model?.run], queryFn: () => tracking.registered(model?.run ?? ""), staleTime: 10_000, enabled: model?.run !== undefined });
  const versions = (registered.data ?? []).filter((one) => one.model_id === id);
  const others = <> (<Search trace={trace} filter={ofModel(id)} text="its traces" />)</>;
  if (!model) return <span>model <code className="id">{id.slice(0, 10)}</code>{others}</span>;
  return (
    <span>
      model {model.run ? <Link to="/experiments/$experiment/runs/$run" params={{ experiment: model.experiment, run: model.run }} search={{ tab: "artifacts", root: id }}>{model.name}</Link> : <bdi>{model.name}</bdi>}
      {versions.map((one) => <span key={`${one.name} ${one.version}`}>, <Link to="/models/$name" params={{ name: one.name }} search={{ version: Number(one.version) }}>{one.name} version {one.version}</Link></span>)}
      {others}
    </span>
  );
}

/** Versions of prompts that it used, of which clients keep a list in a tag. */
function promptsOf(trace: Trace): { name: string; version: string }[] {
  const value = valueOf(trace.tags.get("mlflow.linkedPrompts") ?? "[]");
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown) => (typeof one === "object" && one !== null && "name" in one && "version" in one ? [{ name: String(one.name), version: String(one.version) }] : []));
}
