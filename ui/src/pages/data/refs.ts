// What a ref picker offers, and how refs are told.
import type { Dataset, Ref } from "../../api/data";
import { shortId } from "../../lib/format";

export interface RefOption {
  kind: "branch" | "tag" | "other";
  name: string;
}

/** A list that people read, not scroll: what is left out is found by typing. */
const SHOWN = 60;

const ID = /^[cv]_[0-9a-f]{6,64}$/;

/** Branches, the default one first, then tags, then what was typed if it is the name of neither. */
export function refOptions(dataset: Pick<Dataset, "branches" | "tags" | "default_branch">, wanted: string): { options: RefOption[]; more: number } {
  const text = wanted.trim().toLowerCase();
  const isDefault = (ref: Ref): boolean => ref.kind === "branch" && ref.name === dataset.default_branch;
  const all = [...dataset.branches.filter(isDefault), ...dataset.branches.filter((ref) => !isDefault(ref)), ...dataset.tags];
  const found = all.filter((ref) => ref.name.toLowerCase().includes(text)).map(({ kind, name }): RefOption => ({ kind, name }));
  const options = found.slice(0, SHOWN);
  const exact = all.some((ref) => ref.name === wanted.trim());
  if (text !== "" && !exact) options.push({ kind: "other", name: wanted.trim() });
  return { options, more: found.length - Math.min(found.length, SHOWN) };
}

/** A name is that of a branch or of a tag, never of both. */
export function kindOf(dataset: Pick<Dataset, "branches" | "tags">, ref: string): RefOption["kind"] {
  if (dataset.branches.some((one) => one.name === ref)) return "branch";
  return dataset.tags.some((one) => one.name === ref) ? "tag" : "other";
}

/** A ref as a label: names whole, ids shortened. */
export const refLabel = (ref: string): string => (ID.test(ref) ? shortId(ref) : ref);

const PART = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Why a name cannot be a branch's or tag's, or undefined. */
export function refProblem(name: string): string | undefined {
  if (name.length > 120) return "At most 120 characters.";
  if (name === "latest") return "This is what the head of the default branch is called.";
  if (ID.test(name)) return "This looks like an id.";
  return name.split("/").every((part) => PART.test(part)) ? undefined : "Letters, digits, dots, dashes and underscores, in parts joined by / that start with a letter or digit.";
}
