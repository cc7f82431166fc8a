// Whether versions of a model need approval, and saying so.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { models, type Model } from "../../api/models";
import { Confirm } from "../../components/Confirm";
import { Dialog } from "../../components/Dialog";
import { Icon } from "../../components/Icon";
import { ErrorNote } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { Ago } from "../../components/Time";
import { useMayProtect } from "../../lib/may";
import { demands } from "./words";

const PEOPLE_MAX = 10;

export function ProtectionPanel({ model }: { model: Model }) {
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const may = useMayProtect();
  const set = model.protection;
  if (set === undefined && !may) return null;
  const end = async (): Promise<void> => {
    await models.unprotect(model.name);
    await client.invalidateQueries({ queryKey: ["model", model.name] });
  };
  return (
    <Panel title="Protection">
      {set === undefined ? <p className="soft">Anybody who may promote can point any alias to any version.</p> : (
        <p><Icon name="lock" /> {demands(set)} <span className="soft">Set by <bdi>{set.set_by}</bdi> <Ago at={set.set_ms} />.</span></p>
      )}
      {may && (
        <div className="toolbar">
          <button type="button" className="button" onClick={() => setOpen(true)}>{set === undefined ? "Require approval" : "Change it"}</button>
          {set !== undefined && (
            <Confirm label="End protection" title={`End the protection of ${model.name}?`} confirm="End it" danger action={end}>
              <p>Any version can then be served, approved or not. What people said of versions is kept.</p>
            </Confirm>
          )}
        </div>
      )}
      {open && <ProtectDialog model={model} onClose={() => setOpen(false)} />}
    </Panel>
  );
}

function ProtectDialog({ model, onClose }: { model: Model; onClose: () => void }) {
  const client = useQueryClient();
  const [approvals, setApprovals] = useState(model.protection?.approvals ?? 1);
  const [aliases, setAliases] = useState((model.protection?.aliases ?? []).join(" "));
  const [own, setOwn] = useState(model.protection?.self_approval ?? false);
  const mutation = useMutation({
    mutationFn: () => models.protect(model.name, { approvals, aliases: aliases.split(/[\s,]+/).filter((one) => one !== ""), self_approval: own }),
    onSuccess: onClose,
    onSettled: () => client.invalidateQueries({ queryKey: ["model", model.name] }),
  });
  return (
    <Dialog title={`Require approval of ${model.name}?`} onClose={onClose}>
      <div className="dialog-body">
        <label className="field-line">People who must approve
          <input type="number" min={1} max={PEOPLE_MAX} value={approvals} onChange={(event) => setApprovals(Number(event.target.value))} />
        </label>
        <label className="field-line">Aliases
          <input value={aliases} placeholder="all" spellCheck={false} onChange={(event) => setAliases(event.target.value)} />
        </label>
        <label><input type="checkbox" checked={own} onChange={(event) => setOwn(event.target.checked)} /> Whoever registered a version may approve it too</label>
      </div>
      {mutation.isError && <ErrorNote error={mutation.error} />}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>Back</button>
        <button type="button" className="button button-main" disabled={mutation.isPending || !(approvals >= 1 && approvals <= PEOPLE_MAX)} onClick={() => mutation.mutate()}>Require it</button>
      </div>
    </Dialog>
  );
}
