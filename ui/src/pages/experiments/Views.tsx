// Saved views: a list to choose from, and what to do with the chosen one.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { tracking, type Experiment } from "../../api/tracking";
import { Dialog } from "../../components/Dialog";
import { Icon } from "../../components/Icon";
import { ErrorNote } from "../../components/Notice";
import { Popover } from "../../components/Popover";
import { sameView, tagOf, validName, viewsOf, written, type SavedView, type ViewState } from "./views";

interface Props {
  experiment: Experiment;
  /** What the table shows now. */
  state: ViewState;
  current: string | undefined;
  onPick: (view: SavedView | undefined) => void;
}

type Ask = { what: "save" } | { what: "rename" | "delete"; view: SavedView };

export function Views({ experiment, state, current, onPick }: Props) {
  const [ask, setAsk] = useState<Ask | undefined>(undefined);
  const views = viewsOf(experiment.tags);
  const chosen = views.find((view) => view.name === current);
  const changed = chosen !== undefined && !sameView(chosen.state, state);
  return (
    <>
      <Popover label={<><Icon name="tag" /><span className="view-name">{chosen ? chosen.name : "Views"}</span>{changed && <span className="faint">changed</span>}</>} title="Saved views">
        {(close) => (
          <div className="view-choices">
            {views.length === 0 && <p className="soft">A view is a search, its columns, order and groups under a name. Everybody who sees this experiment sees its views.</p>}
            <ul>
              {views.map((view) => (
                <li key={view.name} aria-current={view.name === current ? "true" : undefined}>
                  <button type="button" className="link" onClick={() => { close(); onPick(view); }}>{view.name}</button>
                  <button type="button" className="button-icon" aria-label={`Rename ${view.name}`} title="Rename" onClick={() => { close(); setAsk({ what: "rename", view }); }}><Icon name="pencil" /></button>
                  <button type="button" className="button-icon" aria-label={`Delete ${view.name}`} title="Delete" onClick={() => { close(); setAsk({ what: "delete", view }); }}><Icon name="cross" /></button>
                </li>
              ))}
            </ul>
            <div className="popover-foot">
              {current !== undefined && <button type="button" className="link" onClick={() => { close(); onPick(undefined); }}>Leave the view</button>}
              <button type="button" className="button" onClick={() => { close(); setAsk({ what: "save" }); }}>Save this view</button>
            </div>
          </div>
        )}
      </Popover>
      {ask && <ViewDialog ask={ask} experiment={experiment} views={views} state={state} current={chosen} onPick={onPick} onClose={() => setAsk(undefined)} />}
    </>
  );
}

interface DialogProps {
  ask: Ask;
  experiment: Experiment;
  views: SavedView[];
  state: ViewState;
  current: SavedView | undefined;
  onPick: (view: SavedView | undefined) => void;
  onClose: () => void;
}

const TITLES = { save: "Save this view", rename: "Rename the view", delete: "Delete the view" };

function ViewDialog({ ask, experiment, views, state, current, onPick, onClose }: DialogProps) {
  const client = useQueryClient();
  const [name, setName] = useState(ask.what === "save" ? (current?.name ?? "") : ask.view.name);
  const value = written(ask.what === "save" ? state : ask.view.state);
  const replaces = ask.what === "save" && views.some((view) => view.name === name);
  const taken = ask.what === "rename" && name !== ask.view.name && views.some((view) => view.name === name);
  const mutation = useMutation({
    mutationFn: async () => {
      if (ask.what === "delete") await tracking.deleteExperimentTag(experiment.id, tagOf(ask.view.name));
      else await tracking.setExperimentTag(experiment.id, tagOf(name), value ?? "{}");
      if (ask.what === "rename" && name !== ask.view.name) await tracking.deleteExperimentTag(experiment.id, tagOf(ask.view.name));
      await client.invalidateQueries({ queryKey: ["experiment", experiment.id] });
    },
    onSuccess: () => {
      onClose();
      if (ask.what === "save") onPick({ name, state });
      else if (ask.view.name === current?.name) onPick(ask.what === "rename" ? { name, state: ask.view.state } : undefined);
    },
  });
  const bad = ask.what !== "delete" && (!validName(name) || taken || value === undefined);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!bad) mutation.mutate();
  };
  return (
    <Dialog title={TITLES[ask.what]} onClose={onClose}>
      <form onSubmit={submit}>
        <div className="dialog-body">
          {ask.what === "delete" ? <p>“{ask.view.name}” is deleted for everybody. Runs are not touched.</p> : (
            <label className="field-line">Name
              <input value={name} autoFocus spellCheck={false} aria-invalid={name !== "" && bad} onChange={(event) => setName(event.target.value)} />
            </label>
          )}
          {replaces && <p className="soft">It replaces the view of this name, for everybody.</p>}
          {taken && <p className="tone-bad">There is a view of this name.</p>}
          {name !== "" && !validName(name) && <p className="tone-bad">Letters, digits, spaces, dashes, underscores and colons, at most 60.</p>}
          {value === undefined && <p className="tone-bad">This view is too long to be saved: choose fewer columns.</p>}
        </div>
        {mutation.isError && <ErrorNote error={mutation.error} />}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>Back</button>
          <button type="submit" className={ask.what === "delete" ? "button button-bad" : "button button-main"} disabled={bad || mutation.isPending}>
            {ask.what === "delete" ? "Delete it" : ask.what === "rename" ? "Rename it" : replaces ? "Replace it" : "Save it"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
