// Tags that people set, and the description, which is one of them. Both may be changed here.
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { Dialog } from "../../../components/Dialog";
import { Icon } from "../../../components/Icon";
import { ErrorNote } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { useMayWriteData } from "../../../lib/may";
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
  const remove = useMutation({ mutationFn: (key: string) => tracking.deleteTag(run.id, key).then(refresh) });
  return (
    <Panel title="Tags">
      {tags.length === 0 && <p className="soft">No tags.</p>}
      <ul className="tag-list">
        {tags.map(([key, value]) => (
          <li key={key}>
            <b><bdi>{key}</bdi></b> <bdi className="whole">{value}</bdi>
            {may && <button type="button" className="button-icon" aria-label={`Remove the tag ${key}`} title="Remove" disabled={remove.isPending} onClick={() => remove.mutate(key)}><Icon name="cross" /></button>}
          </li>
        ))}
      </ul>
      {remove.isError && <ErrorNote error={remove.error} />}
      {may && <NewTag run={run} />}
    </Panel>
  );
}

function NewTag({ run }: { run: TrackingRun }) {
  const refresh = useRefresh(run);
  const [pair, setPair] = useState({ key: "", value: "" });
  const add = useMutation({ mutationFn: () => tracking.setTag(run.id, pair.key.trim(), pair.value).then(refresh), onSuccess: () => setPair({ key: "", value: "" }) });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (pair.key.trim() !== "") add.mutate();
  };
  return (
    <form className="toolbar tag-form" aria-label="New tag" onSubmit={submit}>
      <input aria-label="Name of the tag" placeholder="Name" spellCheck={false} maxLength={250} value={pair.key} onChange={(event) => setPair({ ...pair, key: event.target.value })} />
      <input aria-label="Value of the tag" placeholder="Value" value={pair.value} maxLength={8000} onChange={(event) => setPair({ ...pair, value: event.target.value })} />
      <button type="submit" className="button" disabled={pair.key.trim() === "" || add.isPending}>Add</button>
      {add.isError && <ErrorNote error={add.error} />}
    </form>
  );
}
