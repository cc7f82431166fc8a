// One trace: its spans on a time axis with what each read and answered, what was said about it, and where it belongs.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, type ReactNode } from "react";
import { traces, valueOf, type Trace, type TraceSpan } from "../../../api/traces";
import { tracking } from "../../../api/tracking";
import { Announce } from "../../../components/Announce";
import { Confirm } from "../../../components/Confirm";
import { Empty, ErrorNote, Skeleton } from "../../../components/Notice";
import { CRUMB, PageHead } from "../../../components/PageHead";
import { Panel } from "../../../components/Panel";
import { useMayWriteData } from "../../../lib/may";
import { isInternal } from "../columns";
import { TagEditor } from "../TagEditor";
import { shown } from "../traces/columns";
import { Assessments, useRefreshTrace } from "./Assessments";
import { SpanPanel } from "./SpanPanel";
import { treeOf, type SpanTree } from "./spanTree";
import { TraceFacts } from "./TraceFacts";
import { Waterfall } from "./Waterfall";

const LIVE_MS = 2000;
/** A trace that went on for so long has most likely lost its client: it is looked at now and then. */
const LONG_MS = 600_000;
const SELDOM_MS = 30_000;

/** How many spans its client says it sent. */
function announced(trace: Trace): number {
  const sizes = valueOf(trace.metadata.get("mlflow.trace.sizeStats") ?? "");
  return typeof sizes === "object" && sizes !== null && "num_spans" in sizes ? Number(sizes.num_spans) || 0 : 0;
}

const pace = (trace: Trace): number => (Date.now() - trace.started_ms > LONG_MS ? SELDOM_MS : LIVE_MS);

interface Spans {
  spans: TraceSpan[];
  /** How long it took to fetch and read them. */
  cost_ms: number;
}

async function fetchSpans(id: string, signal: AbortSignal): Promise<Spans> {
  const began = performance.now();
  return { spans: await traces.spans(id, signal), cost_ms: performance.now() - began };
}

export function TracePage() {
  const { experiment: asked, trace: id } = useParams({ from: "/experiments/$experiment/traces/$trace" });
  const query = useQuery({
    queryKey: ["trace", id],
    queryFn: () => traces.get(id),
    refetchInterval: ({ state }) => (state.data?.state === "in_progress" ? pace(state.data) : false),
    structuralSharing: false,
  });
  const trace = query.data;
  const experiment = trace?.experiment ?? asked;
  const parent = useQuery({ queryKey: ["experiment", experiment], queryFn: () => tracking.experiment(experiment), staleTime: 10_000, structuralSharing: false });
  const over = (
    <>
      <Link {...CRUMB} to="/experiments">Experiments</Link> <span aria-hidden="true">/</span>{" "}
      <Link {...CRUMB} to="/experiments/$experiment" params={{ experiment }}>{parent.data?.name ?? experiment}</Link> <span aria-hidden="true">/</span>{" "}
      <Link {...CRUMB} to="/experiments/$experiment" params={{ experiment }} search={{ tab: "traces" }}>Traces</Link>
    </>
  );
  if (query.isPending) return <><PageHead title="Trace" over={over} /><Skeleton lines={10} /></>;
  if (trace === undefined) return <><PageHead title="Trace" over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/experiments", label: "All experiments" }} /></>;
  return <Shown key={trace.id} trace={trace} over={over} />;
}

function Delete({ trace }: { trace: Trace }) {
  const navigate = useNavigate();
  if (!useMayWriteData()) return null;
  const remove = async (): Promise<void> => {
    await traces.remove(trace);
    await navigate({ to: "/experiments/$experiment", params: { experiment: trace.experiment }, search: { tab: "traces" } });
  };
  return <Confirm label="Delete" title="Delete this trace?" confirm="Delete it" danger action={remove}><p>Its spans and what was said about it go with it, for good.</p></Confirm>;
}

function Shown({ trace, over }: { trace: Trace; over: ReactNode }) {
  const search = useSearch({ from: "/experiments/$experiment/traces/$trace" });
  const navigate = useNavigate({ from: "/experiments/$experiment/traces/$trace" });
  const may = useMayWriteData();
  const refresh = useRefreshTrace(trace.id);
  const go = useCallback((change: Record<string, string | undefined>): void => void navigate({ search: (before: object) => ({ ...before, ...change }), replace: true, resetScroll: false }), [navigate]);
  const choose = useCallback((span: string) => go({ span }), [go]);
  const awaited = announced(trace);
  const query = useQuery({
    queryKey: ["trace-spans", trace.id],
    queryFn: ({ signal }) => fetchSpans(trace.id, signal),
    // A trace of many spans is fetched whole, so the more that takes, the more seldom it is done.
    refetchInterval: ({ state }) => {
      const more = trace.state === "in_progress" || (state.data !== undefined && state.data.spans.length < awaited && Date.now() - trace.started_ms < LONG_MS);
      return more ? Math.max(pace(trace), 10 * (state.data?.cost_ms ?? 0)) : false;
    },
    staleTime: 10_000,
    gcTime: 30_000,
    structuralSharing: false,
  });
  const { refetch } = query;
  // The last spans come with the news that it has ended.
  useEffect(() => void refetch(), [refetch, trace.state]);
  const tree = useMemo(() => query.data && treeOf(query.data.spans), [query.data]);
  const node = tree?.byId.get(search.span ?? "") ?? tree?.roots[0];
  const facts = [...trace.metadata].filter(([key, value]) => value !== "" && !HIDDEN.has(key));
  // Plain exporters of OpenTelemetry give no name to a trace.
  const title = trace.name ?? tree?.roots.find((root) => !root.orphan)?.span.name ?? "Trace";
  return (
    <>
      <PageHead title={title} over={over} facts={<TraceFacts trace={trace} />} actions={<Delete trace={trace} />} />
      <Announce text={`${title} ${trace.state}`} />
      {(trace.request !== "" || trace.response !== "") && (
        <dl className="pairs one-column trace-previews">
          {trace.request !== "" && <div><dt>asked</dt><dd><bdi>{shown(trace.request)}</bdi></dd></div>}
          {trace.response !== "" && <div><dt>answered</dt><dd><bdi>{shown(trace.response)}</bdi></dd></div>}
        </dl>
      )}
      <Panel title="Spans" className="trace-panel">
        {query.isPending ? <Skeleton lines={10} /> : tree === undefined ? <ErrorNote error={query.error} retry={() => void query.refetch()} />
          : <SpansOf trace={trace} tree={tree} chosen={node?.span.id} onChoose={choose}>{node && <SpanPanel experiment={trace.experiment} node={node} live={trace.state === "in_progress"} tab={search.tab} onTab={(tab) => go({ tab })} />}</SpansOf>}
      </Panel>
      <div className="columns">
        <Assessments trace={trace} tree={tree} chosen={node?.span.id} onSpan={choose} />
        <div>
          <TagEditor tags={[...trace.tags].filter(([key]) => !isInternal(key))} may={may} onSet={(key, value) => traces.setTag(trace.id, key, value).then(refresh)} onDelete={(key) => traces.deleteTag(trace.id, key).then(refresh)} />
          {(facts.length > 0 || trace.client_request_id) && (
            <Panel title="Metadata">
              <dl className="pairs one-column">
                {trace.client_request_id && <div><dt>client's id</dt><dd><code className="whole">{trace.client_request_id}</code></dd></div>}
                {facts.map(([key, value]) => <div key={key}><dt><bdi>{key.replace(/^mlflow\./, "")}</bdi></dt><dd><bdi>{value}</bdi></dd></div>)}
              </dl>
            </Panel>
          )}
        </div>
      </div>
    </>
  );
}

/** What stands elsewhere on the page, or tells a reader nothing. */
const HIDDEN = new Set(["mlflow.sourceRun", "mlflow.trace.session", "mlflow.trace.user", "mlflow.modelId", "mlflow.trace.tokenUsage", "mlflow.trace.cost", "mlflow.trace.sizeStats", "mlflow.trace.infoFinalized", "mlflow.trace_schema.version", "mlflow.traceInputs", "mlflow.traceOutputs", "mlflow.trace.sizeBytes"]);

interface SpansProps {
  trace: Trace;
  tree: SpanTree;
  chosen: string | undefined;
  onChoose: (id: string) => void;
  children: ReactNode;
}

function SpansOf({ trace, tree, chosen, onChoose, children }: SpansProps) {
  if (tree.all.length === 0) return <Empty title={trace.state === "in_progress" ? "No span yet" : "No spans here"}>{trace.state === "in_progress" ? "They are shown as they come." : "Only what is known about the trace was sent; its client may keep the spans elsewhere, or still be sending them."}</Empty>;
  return (
    <div className="trace-columns">
      <Waterfall tree={tree} chosen={chosen} onChoose={onChoose} />
      {children}
    </div>
  );
}
