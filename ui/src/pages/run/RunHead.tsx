import { Link, useNavigate } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { sentence } from "../../api/errors";
import { runEnded, runs, type RunDetail, type StepView } from "../../api/runs";
import { Copy, Id } from "../../components/Command";
import { Confirm } from "../../components/Confirm";
import { Note } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { State } from "../../components/State";
import { Ago, Span } from "../../components/Time";
import { plural, shortId } from "../../lib/format";
import { leftToRun } from "./steps";

interface Props {
  run: RunDetail;
  chosen: StepView | undefined;
  streaming: boolean;
}

export function RunHead({ run, chosen, streaming }: Props) {
  const ended = runEnded(run.state);
  return (
    <>
      <PageHead
        title={run.project}
        over={<><Link {...CRUMB} to="/runs">Runs</Link> <span aria-hidden="true">/</span> <Id id={run.id} short={shortId(run.id)} /> <Copy text={run.id} label="Copy the run's id" /></>}
        facts={
          <>
            <State state={run.state} />
            <span>{run.steps_done} of {plural(run.steps_total, "step")}</span>
            <span><Span from={run.started_ms ?? run.created_ms} to={run.ended_ms} /></span>
            <span>submitted <Ago at={run.created_ms} />{run.submitted_by && ` by ${run.submitted_by}`}</span>
            {run.rerun_of && <span>rerun of <Link to="/runs/$id" params={{ id: run.rerun_of }} className="id" title={run.rerun_of}>{shortId(run.rerun_of)}</Link></span>}
            {!ended && run.cancel_requested && <span className="tone-wait">cancelling</span>}
            {!ended && <span className="faint" title={streaming ? "Changes arrive as they happen" : "Asking every two seconds"}>{streaming ? "live" : "polling"}</span>}
          </>
        }
        actions={ended ? <Rerun run={run} chosen={chosen} /> : <Cancel run={run} />}
      />
      {run.reason && <Note bad={run.state === "failed"}>{sentence(run.reason)}</Note>}
    </>
  );
}

function Cancel({ run }: { run: RunDetail }) {
  const client = useQueryClient();
  return (
    <Confirm
      label="Cancel run"
      disabled={run.cancel_requested}
      title="Cancel this run?"
      confirm="Cancel the run"
      danger
      action={async () => {
        await runs.cancel(run.id);
        await client.invalidateQueries({ queryKey: ["run", run.id] });
      }}
    >
      <p>Running steps get SIGTERM, then SIGKILL after their grace time. Outputs of finished steps stay and can be reused.</p>
    </Confirm>
  );
}

function Rerun({ run, chosen }: { run: RunDetail; chosen: StepView | undefined }) {
  const navigate = useNavigate();
  const go = async (from?: string): Promise<void> => {
    const { id } = await runs.rerun(run.id, from);
    await navigate({ to: "/runs/$id", params: { id } });
  };
  const failed = run.steps.find((step) => step.state === "failed");
  const from = failed ?? chosen;
  return (
    <>
      {from && (
        <Confirm label={`Rerun from ${from.name}`} title={`Rerun from ${from.name}?`} confirm="Start the run" action={() => go(from.name)}>
          <p>A new run with the same code and data repeats <b>{from.name}</b> and what follows it. The steps before it are reused.</p>
        </Confirm>
      )}
      {leftToRun(run.steps) && (
        <Confirm label="Rerun" title="Rerun what did not succeed?" confirm="Start the run" action={() => go()}>
          <p>A new run with the same code and data. The steps that succeeded are reused.</p>
        </Confirm>
      )}
    </>
  );
}
