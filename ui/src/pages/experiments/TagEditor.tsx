// Tags that people set, of a run or a trace: listed, added, removed.
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { Icon } from "../../components/Icon";
import { ErrorNote } from "../../components/Notice";
import { Panel } from "../../components/Panel";

interface Props {
  tags: [string, string][];
  may: boolean;
  onSet: (key: string, value: string) => Promise<unknown>;
  onDelete: (key: string) => Promise<unknown>;
}

export function TagEditor({ tags, may, onSet, onDelete }: Props) {
  const remove = useMutation({ mutationFn: onDelete });
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
      {may && <NewTag onSet={onSet} />}
    </Panel>
  );
}

function NewTag({ onSet }: Pick<Props, "onSet">) {
  const [pair, setPair] = useState({ key: "", value: "" });
  const add = useMutation({ mutationFn: () => onSet(pair.key.trim(), pair.value), onSuccess: () => setPair({ key: "", value: "" }) });
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
