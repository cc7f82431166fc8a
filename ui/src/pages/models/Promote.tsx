// Moves an alias to a version, after showing what moves. It moves only what was shown: who was faster wins.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { models, type Model } from "../../api/models";
import { Dialog } from "../../components/Dialog";
import { ErrorNote } from "../../components/Notice";

/** What most people call the version that is served. */
const USUAL = "champion";

export function Promote({ model, version }: { model: Model; version: number }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="button" aria-label={`Promote version ${version}`} onClick={() => setOpen(true)}>Promote</button>
      {open && <PromoteDialog model={model} version={version} onClose={() => setOpen(false)} />}
    </>
  );
}

function PromoteDialog({ model, version, onClose }: { model: Model; version: number; onClose: () => void }) {
  const client = useQueryClient();
  // What the reader saw when the dialog opened; the page goes on being refreshed behind it.
  const [seen] = useState(model.aliases);
  const names = [...new Set([...Object.keys(seen).sort(), ...(Object.keys(seen).length === 0 ? [USUAL] : [])])];
  const [alias, setAlias] = useState(names.find((name) => seen[name] !== version) ?? names[0] ?? USUAL);
  const now = seen[alias];
  const mutation = useMutation({
    mutationFn: () => models.moveAlias(model.name, alias, version, now),
    onSuccess: onClose,
    onSettled: () => client.invalidateQueries({ queryKey: ["model", model.name] }),
  });
  return (
    <Dialog title={`Promote version ${version}?`} onClose={onClose}>
      <div className="dialog-body">
        <label className="field-line">Alias
          <select value={alias} onChange={(event) => { mutation.reset(); setAlias(event.target.value); }}>
            {names.map((name) => <option key={name} value={name}>{name}{seen[name] === undefined ? " (new)" : `, now version ${seen[name]}`}</option>)}
          </select>
        </label>
        <p>{now === version ? "It points there already." : now === undefined ? `${alias} will point to version ${version}.` : `${alias} moves from version ${now} to ${version}.`}{" "}
          Endpoints that serve <code>{model.name}@{alias}</code> roll to it, replica by replica, without dropping requests.</p>
      </div>
      {mutation.isError && <ErrorNote error={mutation.error} />}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>Back</button>
        <button type="button" className="button button-main" disabled={now === version || mutation.isPending} onClick={() => mutation.mutate()}>Promote it</button>
      </div>
    </Dialog>
  );
}
