import { expect, it } from "vitest";
import { ApiError } from "../../api/errors";
import { delta, diffWords, headline, isMerge, mergeError, mergeNews, restOf, storageNotes, storageWords } from "./words";

const KIB = 1024;
const storage = { versions: 93, versions_bytes: 4000 * KIB, unique_bytes: 400 * KIB, stored_bytes: 100 * KIB, packs: 2, pieces: 10, damaged: 0 };

it("says what storing once and compressing saved", () => {
  expect(storageWords(storage)).toEqual({
    ratio: "40×",
    sentence: "93 versions have 3.91 MiB together. Without what repeats that is 400 KiB; compressed, 100 KiB on disk. Copies of every version would take 40 times as much.",
  });
  expect(storageWords({ ...storage, versions_bytes: 450 * KIB, stored_bytes: 410 * KIB }).ratio).toBe("1.1×");
  expect(storageWords({ ...storage, versions_bytes: 450 * KIB, stored_bytes: 410 * KIB }).sentence).toContain("with what is needed to find it, 410 KiB");
});

it("claims nothing where nothing is saved", () => {
  const one = { ...storage, versions: 1, versions_bytes: 100, unique_bytes: 100, stored_bytes: 180 };
  expect(storageWords(one)).toEqual({ ratio: "–", sentence: "1 version has 100 B together. Without what repeats that is 100 B, and it takes 180 B on disk." });
  expect(storageWords({ ...storage, versions: 0, versions_bytes: 0 }).sentence).toBe("Nothing is stored yet.");
  expect(storageWords({ ...storage, stored_bytes: 0 }).ratio).toBe("–");
});

it("tells what lies elsewhere and what is damaged", () => {
  expect(storageNotes(storage)).toEqual([]);
  expect(storageNotes({ linked: [{ source: "lake", objects: 200, bytes: 8000 * KIB }], damaged: 1 })).toEqual([
    "200 objects of 7.81 MiB in lake are linked, not stored here.",
    "1 piece is damaged: corliss data check names the files.",
  ]);
});

const entry = (size_bytes: number) => ({ path: "a", blob: "b", size_bytes, executable: false });

it("says how much larger or smaller a file got", () => {
  expect(delta({ new: entry(10) })).toBe("+10 B");
  expect(delta({ old: entry(2048) })).toBe("−2 KiB");
  expect(delta({ old: entry(5), new: entry(5) })).toBe("±0 B");
});

it("sums a comparison up", () => {
  const none = { added: 0, removed: 0, changed: 0, bytes_new: 0, bytes_old: 0 };
  expect(diffWords(none)).toBe("Nothing differs");
  expect(diffWords({ ...none, added: 1200, changed: 1 })).toBe("1,200 added, 1 changed");
});

it("splits a message into its headline and the rest", () => {
  expect([headline("\nWhy\n\nBecause."), restOf("\nWhy\n\nBecause.")]).toEqual(["Why", "Because."]);
  expect([headline(""), restOf("one line")]).toEqual(["", ""]);
});

it("knows a merge by its parents", () => {
  expect([isMerge({ parents: [] }), isMerge({ parents: ["a"] }), isMerge({ parents: ["a", "b"] })]).toEqual([false, false, true]);
});

it("tells a merge that changed nothing from one to look at", () => {
  const merged = { version: "v", commit: "c_1", created: false, fast_forward: true, settled: 0 };
  expect(mergeNews(merged, "c_1", "fix", "main")).toBe("main has everything of fix already.");
  expect(mergeNews(merged, "c_0", "fix", "main")).toBeUndefined();
});

it("tells conflicts with what can be done here", () => {
  const report = { code: "data_conflicts", message: "2 files were changed on both sides: a, b", hint: "choose a side with `--on-conflict ours`", retryable: false };
  const told = mergeError(new ApiError(409, report)) as ApiError;
  expect(told.message).toBe(report.message);
  expect(told.report.hint).not.toContain("--on-conflict");
  const other = new ApiError(409, { ...report, code: "data_branch_moved" });
  expect(mergeError(other)).toBe(other);
});
