import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { data, type Dataset, type Ref } from "../../api/data";
import { Announce } from "../../components/Announce";
import { ErrorNote } from "../../components/Notice";
import { RefPicker } from "./RefPicker";
import { refProblem } from "./refs";

/** Makes a branch or a tag. Nothing is moved or lost by it, so it does not ask first. */
export function NewRef({ dataset, at }: { dataset: Dataset; at: string }) {
  const client = useQueryClient();
  const [kind, setKind] = useState<Ref["kind"]>("branch");
  const [name, setName] = useState("");
  const [picked, setPicked] = useState<string | undefined>(undefined);
  const target = picked ?? at;
  const problem = name === "" ? undefined : refProblem(name);
  const make = useMutation({
    mutationFn: () => data.makeRef(dataset.name, kind, name, target),
    onSuccess: async () => {
      setName("");
      await Promise.all([client.invalidateQueries({ queryKey: ["refs", dataset.name] }), client.invalidateQueries({ queryKey: ["dataset", dataset.name] })]);
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name !== "" && problem === undefined) make.mutate();
  };
  return (
    <>
      <form className="toolbar" onSubmit={submit} aria-label="New branch or tag">
        <label>New
          <select value={kind} onChange={(event) => setKind(event.target.value as Ref["kind"])}>
            <option value="branch">branch</option>
            <option value="tag">tag</option>
          </select>
        </label>
        <label>Name
          <input placeholder={kind === "branch" ? "e.g. fix/labels" : "e.g. v1.0"} value={name} spellCheck={false} autoComplete="off" aria-invalid={problem !== undefined} onChange={(event) => setName(event.target.value.trim())} />
        </label>
        <span className="field">At <RefPicker dataset={dataset} value={target} label="At" onPick={setPicked} /></span>
        <button type="submit" className="button button-main" disabled={name === "" || problem !== undefined || make.isPending}>Make {kind}</button>
        {problem && <span className="tone-bad" role="status">{problem}</span>}
      </form>
      <Announce text={make.isSuccess ? `The ${make.data.kind} ${make.data.name} was made` : ""} />
      {make.isError && <ErrorNote error={make.error} />}
    </>
  );
}
