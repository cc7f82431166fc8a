// What to do with the chosen runs. It is there before anything is chosen, so that the table does not move.
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking } from "../../api/tracking";
import { Confirm } from "../../components/Confirm";
import { plural } from "../../lib/format";
import { useMayWriteData } from "../../lib/may";
import { COMPARE_MAX } from "./compare/differences";
import type { Selection } from "./useSelection";

interface Props {
  experiment: string;
  selection: Selection;
  stage: "active" | "deleted";
}

export function SelectionBar({ experiment, selection, stage }: Props) {
  const ids = [...selection.chosen.keys()];
  const many = ids.length;
  const may = useMayWriteData();
  if (many === 0) return <p className="run-bar faint">Space selects a run, Shift and an arrow several; Enter opens it.</p>;
  return (
    <div className="run-bar" role="group" aria-label="Chosen runs">
      <b className="number" role="status">{plural(many, "run")} chosen</b>
      {many >= 2 && many <= COMPARE_MAX ? (
        <Link className="button button-main" to="/experiments/$experiment/compare" params={{ experiment }} search={{ runs: ids.join(",") }}>Compare</Link>
      ) : <span className="faint">{many < 2 ? "Choose another to compare." : `At most ${COMPARE_MAX} can be compared.`}</span>}
      {may && <ChangeStage ids={ids} stage={stage} onDone={selection.clear} />}
      <button type="button" className="link" onClick={selection.clear}>Choose none</button>
    </div>
  );
}

function ChangeStage({ ids, stage, onDone }: { ids: string[]; stage: "active" | "deleted"; onDone: () => void }) {
  const client = useQueryClient();
  const remove = stage === "active";
  const change = async (): Promise<void> => {
    try {
      // One after the other: it stops at the first that is refused, and says so.
      for (const id of ids) await (remove ? tracking.deleteRun(id) : tracking.restoreRun(id));
      onDone();
    } finally {
      await Promise.all([client.invalidateQueries({ queryKey: ["runs"] }), client.invalidateQueries({ queryKey: ["runs-count"] })]);
    }
  };
  const what = plural(ids.length, "run");
  return (
    <Confirm label={remove ? "Delete" : "Restore"} title={`${remove ? "Delete" : "Restore"} ${what}?`} confirm={remove ? `Delete ${what}` : `Restore ${what}`} danger={remove} action={change}>
      <p>{remove ? "They leave this list and the searches of clients. What they logged is kept, and “Deleted” lists them to be restored." : "They are listed and found again."}</p>
    </Confirm>
  );
}
