// What may be done with a run: rename it, delete it, restore it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { Confirm } from "../../../components/Confirm";
import { Dialog } from "../../../components/Dialog";
import { ErrorNote } from "../../../components/Notice";
import { useMayWriteData } from "../../../lib/may";

export function useRefresh(run: TrackingRun): () => Promise<unknown> {
  const client = useQueryClient();
  const keys = [["tracking", run.id], ["runs"], ["runs-count"], ["children"], ["latest-run"]];
  return () => Promise.all(keys.map((queryKey) => client.invalidateQueries({ queryKey })));
}

export function RunActions({ run }: { run: TrackingRun }) {
  const refresh = useRefresh(run);
  const [rename, setRename] = useState(false);
  if (!useMayWriteData()) return null;
  if (run.deleted) {
    return (
      <Confirm label="Restore" title={`Restore ${run.name}?`} confirm="Restore it" action={() => tracking.restoreRun(run.id).then(refresh)}>
        <p>It is listed and found again.</p>
      </Confirm>
    );
  }
  return (
    <>
      <button type="button" className="button" onClick={() => setRename(true)}>Rename</button>
      {rename && <Rename run={run} onClose={() => setRename(false)} />}
      <Confirm label="Delete" title={`Delete ${run.name}?`} confirm="Delete it" danger action={() => tracking.deleteRun(run.id).then(refresh)}>
        <p>It leaves the lists and searches. What it logged is kept, and it can be restored from here or from “deleted” in its experiment.</p>
      </Confirm>
    </>
  );
}

function Rename({ run, onClose }: { run: TrackingRun; onClose: () => void }) {
  const refresh = useRefresh(run);
  const [name, setName] = useState(run.name);
  const mutation = useMutation({ mutationFn: () => tracking.renameRun(run.id, name.trim()).then(refresh), onSuccess: onClose });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name.trim() !== "") mutation.mutate();
  };
  return (
    <Dialog title="Rename the run" onClose={onClose}>
      <form onSubmit={submit}>
        <div className="dialog-body"><label className="field-line">Name<input value={name} autoFocus spellCheck={false} maxLength={500} onChange={(event) => setName(event.target.value)} /></label></div>
        {mutation.isError && <ErrorNote error={mutation.error} />}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>Back</button>
          <button type="submit" className="button button-main" disabled={name.trim() === "" || mutation.isPending}>Rename it</button>
        </div>
      </form>
    </Dialog>
  );
}
