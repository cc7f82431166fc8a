// Tags that people set, and the description, which is one of them. Both may be changed here.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { Dialog } from "../../../components/Dialog";
import { ErrorNote } from "../../../components/Notice";
import { useMayWriteData } from "../../../lib/may";
import { TagEditor } from "../TagEditor";
import { useRefresh } from "./RunActions";

const NOTE = "mlflow.note.content";

export function Description({ run }: { run: TrackingRun }) {
  const [open, setOpen] = useState(false);
  const may = useMayWriteData() && !run.deleted;
  const note = run.tags.get(NOTE) ?? "";
  if (note === "" && !may) return null;
  return (
    <div className="run-note">
      {note !== "" && <p className="message">{note}</p>}
      {may && <button type="button" className="link" onClick={() => setOpen(true)}>{note === "" ? "Describe this run" : "Change the description"}</button>}
      {open && <NoteDialog run={run} note={note} onClose={() => setOpen(false)} />}
    </div>
  );
}

function NoteDialog({ run, note, onClose }: { run: TrackingRun; note: string; onClose: () => void }) {
  const refresh = useRefresh(run);
  const [text, setText] = useState(note);
  const mutation = useMutation({ mutationFn: () => tracking.setTag(run.id, NOTE, text).then(refresh), onSuccess: onClose });
  return (
    <Dialog title="Description" onClose={onClose}>
      <textarea rows={8} autoFocus aria-label="Description" value={text} maxLength={8000} onChange={(event) => setText(event.target.value)} />
      {mutation.isError && <ErrorNote error={mutation.error} />}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>Back</button>
        <button type="button" className="button button-main" disabled={mutation.isPending} onClick={() => mutation.mutate()}>Save it</button>
      </div>
    </Dialog>
  );
}

export function Tags({ run, tags }: { run: TrackingRun; tags: [string, string][] }) {
  const may = useMayWriteData() && !run.deleted;
  const refresh = useRefresh(run);
  return <TagEditor tags={tags} may={may} onSet={(key, value) => tracking.setTag(run.id, key, value).then(refresh)} onDelete={(key) => tracking.deleteTag(run.id, key).then(refresh)} />;
}
