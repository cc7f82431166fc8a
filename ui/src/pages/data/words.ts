// Sentences of the data pages. Pure, so that they can be tested.
import { ApiError } from "../../api/errors";
import type { ChangeKind, Commit, DiffSummary, FileChange, Merged, Storage } from "../../api/data";
import { bytes, count, plural } from "../../lib/format";

/** `3.4`, `12`: how many times, as people say it. */
const times = (value: number): string => (value < 9.95 ? String(Math.round(value * 10) / 10) : count(Math.round(value)));

export interface StorageWords {
  ratio: string;
  sentence: string;
}

/** What is saved and by what. Without data, or where storing costs more than it saves, there is no ratio to be proud of. */
export function storageWords(storage: Storage): StorageWords {
  const { versions, versions_bytes: whole, unique_bytes: unique, stored_bytes: stored } = storage;
  if (versions === 0 || whole === 0) return { ratio: "–", sentence: "Nothing is stored yet." };
  const had = `${plural(versions, "version")} ${versions === 1 ? "has" : "have"} ${bytes(whole)} together. Without what repeats that is ${bytes(unique)}`;
  const ratio = stored > 0 ? whole / stored : 1;
  if (ratio < 1.05) return { ratio: "–", sentence: `${had}, and it takes ${bytes(stored)} on disk.` };
  const how = stored < unique ? "compressed" : "with what is needed to find it";
  return { ratio: `${times(ratio)}×`, sentence: `${had}; ${how}, ${bytes(stored)} on disk. Copies of every version would take ${times(ratio)} times as much.` };
}

/** What is not stored here, and what cannot be read; nothing where there is neither. */
export function storageNotes({ linked = [], damaged }: Pick<Storage, "linked" | "damaged">): string[] {
  const notes = linked.map(({ source, objects, bytes: size }) => `${plural(objects, "object")} of ${bytes(size)} in ${source} ${objects === 1 ? "is" : "are"} linked, not stored here.`);
  if (damaged > 0) notes.push(`${plural(damaged, "piece")} ${damaged === 1 ? "is" : "are"} damaged: corliss data check names the files.`);
  return notes;
}

export const CHANGES: Record<ChangeKind, string> = { added: "added", removed: "removed", changed: "changed", mode: "mode" };

/** `+1.2 KiB`, `−3 B`, `±0 B`. */
export function delta(change: Pick<FileChange, "old" | "new">): string {
  const by = (change.new?.size_bytes ?? 0) - (change.old?.size_bytes ?? 0);
  return by === 0 ? "±0 B" : `${by > 0 ? "+" : "−"}${bytes(Math.abs(by))}`;
}

export function diffWords(summary: DiffSummary): string {
  const parts = ([["added", summary.added], ["removed", summary.removed], ["changed", summary.changed]] as const)
    .filter(([, many]) => many > 0)
    .map(([word, many]) => `${count(many)} ${word}`);
  return parts.length === 0 ? "Nothing differs" : parts.join(", ");
}

/** The first line of a message: what a list has room for. */
export const headline = (message: string): string => message.trimStart().split("\n", 1)[0] ?? "";

/** What follows the first line. */
export const restOf = (message: string): string => message.trimStart().slice(headline(message).length).trim();

export const isMerge = (commit: Pick<Commit, "parents">): boolean => commit.parents.length > 1;

/** What a merge did, where it made no commit to look at. */
export function mergeNews(merged: Merged, head: string | undefined, from: string, into: string): string | undefined {
  return merged.commit === head ? `${into} has everything of ${from} already.` : undefined;
}

/** The server's hint on a conflict names an option of the command; here it is a field above. */
export function mergeError(error: unknown): unknown {
  if (!(error instanceof ApiError) || error.report.code !== "data_conflicts") return error;
  return new ApiError(error.status, { ...error.report, hint: "nothing was merged: choose above which side wins, or make these files equal on one of the branches" });
}
