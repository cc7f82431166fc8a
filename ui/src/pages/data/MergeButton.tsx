import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { data, type ConflictPolicy, type Ref } from "../../api/data";
import { Confirm } from "../../components/Confirm";
import { refLabel } from "./refs";
import { mergeError, mergeNews } from "./words";

interface Props {
  dataset: string;
  /** What is merged: any ref. */
  from: string;
  /** The branch that gets it, as it was when it was looked at. */
  into: Ref;
}

/** Merges after asking how; leads to the new commit, or says that there was nothing to merge. */
export function MergeButton({ dataset, from, into }: Props) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [policy, setPolicy] = useState<ConflictPolicy>("fail");
  const [message, setMessage] = useState("");
  const [always, setAlways] = useState(false);
  const [news, setNews] = useState<string | undefined>(undefined);
  const name = refLabel(from);
  const merge = async (): Promise<void> => {
    const request = { from, branch: into.name, expected: into.commit, on_conflict: policy, message, always_commit: always };
    const merged = await data.merge(dataset, request).catch((error: unknown) => { throw mergeError(error); });
    const none = mergeNews(merged, into.commit, name, into.name);
    setNews(none);
    for (const key of ["dataset", "refs", "log", "resolve", "diff"]) void client.invalidateQueries({ queryKey: [key] });
    if (none === undefined && merged.commit) await navigate({ to: "/data/datasets/$name/commits/$commit", params: { name: dataset, commit: merged.commit } });
  };
  return (
    <>
      <Confirm label={`Merge ${name} into ${into.name}`} title={`Merge ${name} into ${into.name}?`} confirm="Merge" action={merge}>
        <div className="merge-form">
          <p>{into.name} gets what {name} changed since both were the same. {name} stays as it is.</p>
          <label>Where both changed a file
            <select value={policy} onChange={(event) => setPolicy(event.target.value as ConflictPolicy)}>
              <option value="fail">merge nothing and tell which</option>
              <option value="ours">keep that of {into.name}</option>
              <option value="theirs">take that of {name}</option>
            </select>
          </label>
          <label>Message
            <textarea rows={2} maxLength={2000} placeholder={`Merge ${name}`} value={message} onChange={(event) => setMessage(event.target.value)} />
          </label>
          <label className="check">
            <input type="checkbox" checked={always} onChange={(event) => setAlways(event.target.checked)} />
            Make a merge commit even where moving {into.name} forward would do
          </label>
        </div>
      </Confirm>
      <span role="status" className="soft">{news}</span>
    </>
  );
}
