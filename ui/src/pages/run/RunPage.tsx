// One run: its live graph, the chosen step in full, what it made.
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import type { RunDetail } from "../../api/runs";
import { Announce } from "../../components/Announce";
import { Id } from "../../components/Command";
import { Graph } from "../../components/dag/Graph";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { State, StateIcon } from "../../components/State";
import { shortId } from "../../lib/format";
import { RunFacts } from "./RunFacts";
import { RunHead } from "./RunHead";
import { StepNode } from "./StepNode";
import { StepPanel } from "./StepPanel";
import { chooseStep, stepEdges, stepSentence, tally } from "./steps";
import { useLiveRun } from "./useLiveRun";

const SIZE = { nodeWidth: 224, nodeHeight: 58, gapX: 46, gapY: 14 };

export function RunPage() {
  const { id } = useParams({ from: "/runs/$id" });
  const run = useLiveRun(id);
  const over = <><Link {...CRUMB} to="/runs">Runs</Link> <span aria-hidden="true">/</span> <Id id={id} short={shortId(id)} /></>;
  if (run.isPending) return <><PageHead title="Run" over={over} /><Skeleton lines={8} /></>;
  if (run.data === undefined) return <><PageHead title="Run" over={over} /><ErrorNote error={run.error} retry={() => void run.refetch()} back={{ to: "/runs", label: "All runs" }} /></>;
  return <Loaded run={run.data} streaming={run.streaming} />;
}

function Loaded({ run, streaming }: { run: RunDetail; streaming: boolean }) {
  const search = useSearch({ from: "/runs/$id" });
  const navigate = useNavigate({ from: "/runs/$id" });
  const chosen = chooseStep(run.steps, search.step);
  const byName = useMemo(() => new Map(run.steps.map((step) => [step.name, step])), [run.steps]);
  const choose = useCallback(
    (step: string, tab?: string): void => {
      void navigate({ search: (before: { tab?: string }) => ({ step, tab: tab ?? before.tab }), replace: true, resetScroll: false });
    },
    [navigate],
  );
  const news = run.steps.filter((step) => step.state !== "waiting").map(stepSentence).join(". ");
  return (
    <>
      <RunHead run={run} chosen={chosen} streaming={streaming} />
      <Announce text={`Run ${run.state}. ${run.steps.length > 20 ? `${run.steps_done} of ${run.steps_total} steps done` : news}`} />
      <Panel title="Steps" aside={<Counts run={run} />}>
        {run.steps.length === 0 ? (
          <p className="soft">This run has no steps: it only deploys what its file names.</p>
        ) : (
          <Graph
            label="Steps of the run"
            ids={run.steps.map((step) => step.name)}
            edges={stepEdges(run.steps)}
            size={SIZE}
            current={chosen?.name}
            edgeClass={({ from, to }) => edgeLook(byName.get(from)?.state, byName.get(to)?.state)}
            node={(name, tabIndex) => {
              const step = byName.get(name);
              return step && <StepNode step={step} chosen={name === chosen?.name} tabIndex={tabIndex} onChoose={choose} />;
            }}
          />
        )}
      </Panel>
      {chosen && <StepPanel key={chosen.name} run={run} step={chosen} tab={search.tab} onTab={(tab) => choose(chosen.name, tab)} />}
      <RunFacts run={run} />
    </>
  );
}

/** An edge shines once what it carries exists, and flows while its end is at work. */
function edgeLook(from: string | undefined, to: string | undefined): string | undefined {
  if (from !== "succeeded" && from !== "reused") return undefined;
  return to === "running" ? "edge-live" : "edge-done";
}

function Counts({ run }: { run: RunDetail }) {
  return (
    <span className="counts">
      {tally(run.steps).map(({ state, count }) => (
        <span key={state} className="count"><StateIcon state={state} />{count} {state}</span>
      ))}
      {run.steps.length === 0 && <State state={run.state} />}
    </span>
  );
}
