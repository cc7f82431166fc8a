// Datasets, their branches, tags and commits; versions, folder by folder; what differs and what merges.
import { request, segment, send, type Page } from "./client";
import { ApiError } from "./errors";

export interface DatasetSummary {
  name: string;
  default_branch: string;
  /** The commit at the head of the default branch. */
  head: string;
  latest: string;
  versions: number;
  size_bytes: number;
  files: number;
  created_ms: number;
  updated_ms: number;
}

export interface Ref {
  kind: "branch" | "tag";
  name: string;
  commit: string;
  updated_ms: number;
  /** Only merges move it. */
  protected: boolean;
}

export interface Commit {
  commit: string;
  version: string;
  /** None for the first; of a merge the branch's own, then the merged one. */
  parents: string[];
  author: string;
  created_ms: number;
  message: string;
  generation: number;
  size_bytes: number;
  files: number;
}

/** At most the first thousand branches and tags, and the thousand newest commits of the default branch. */
export interface Dataset extends DatasetSummary {
  branches: Ref[];
  tags: Ref[];
  history: Commit[];
}

export interface Resolved {
  version: string;
  commit?: string;
  branch?: string;
}

export interface FileEntry {
  path: string;
  blob: string;
  size_bytes: number;
  executable: boolean;
  /** Its bytes lie in a source; the blob says where. */
  link?: boolean;
}

export interface VersionSummary {
  version: string;
  created_ms: number;
  size_bytes: number;
  files: number;
  names: string[];
}

/** A folder has no `file`; its `files` and `size_bytes` are those of everything below. */
export interface FolderItem {
  name: string;
  file?: FileEntry;
  files: number;
  size_bytes: number;
}

export type ChangeKind = "added" | "removed" | "changed" | "mode";

export interface FileChange {
  path: string;
  change: ChangeKind;
  old?: FileEntry;
  new?: FileEntry;
}

export interface DiffSummary {
  added: number;
  removed: number;
  changed: number;
  bytes_new: number;
  bytes_old: number;
}

/** `summary` is of all that differs and comes with the first page. */
export interface Diff extends Page<FileChange> {
  from: string;
  to: string;
  summary?: DiffSummary;
}

export type ConflictPolicy = "fail" | "ours" | "theirs";

export interface MergeRequest {
  from: string;
  branch: string;
  /** Where the branch was when it was looked at; if it has moved, nothing is merged. */
  expected?: string;
  on_conflict: ConflictPolicy;
  message: string;
  always_commit: boolean;
}

export interface Merged {
  version: string;
  commit?: string;
  created: boolean;
  fast_forward: boolean;
  /** Files that both sides had changed, settled by the policy. */
  settled: number;
}

export interface Storage {
  versions: number;
  versions_bytes: number;
  unique_bytes: number;
  stored_bytes: number;
  packs: number;
  pieces: number;
  /** What versions link to in sources, which is not stored. */
  linked?: { source: string; objects: number; bytes: number }[];
  /** Pieces that are known as damaged. */
  damaged: number;
}

const base = "/api/v1/data";
const inDataset = (name: string, rest: string): string => `${base}/datasets/${segment(name)}/${rest}`;
const inVersion = (version: string, rest: string): string => `${base}/versions/${segment(version)}/${rest}`;

/** A path within a version as part of an address. */
export const segments = (path: string): string => path.split("/").map(segment).join("/");

export const fileAddress = (version: string, path: string): string => inVersion(version, `files/${segments(path)}`);

/** `name@ref`, as the server reads references. */
export const reference = (dataset: string, ref: string): string => `${dataset}@${ref}`;

const plural = (kind: Ref["kind"]): string => (kind === "branch" ? "branches" : "tags");

/** What a route answers, or undefined where the server does not have the route yet. */
export async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.report.code === "route_not_found") return undefined;
    throw error;
  }
}

export const data = {
  datasets: (page_token?: string) => request<Page<DatasetSummary>>(`${base}/datasets`, { query: { page_token } }),
  dataset: (name: string) => request<Dataset>(`${base}/datasets/${segment(name)}`),
  storage: () => ifThere(request<Storage>(`${base}/storage`)),

  refs: (name: string, kind: Ref["kind"], page_token?: string) =>
    request<Page<Ref>>(inDataset(name, plural(kind)), { query: { limit: 200, page_token } }),
  makeRef: (name: string, kind: Ref["kind"], ref: string, at: string) =>
    request<Ref>(inDataset(name, plural(kind)), { method: "POST", body: { name: ref, at } }),
  /** Deletes it only where it still points to what the caller saw. */
  deleteRef: (name: string, ref: Ref) =>
    request<Ref>(inDataset(name, `${plural(ref.kind)}/${segment(ref.name)}`), { method: "DELETE", query: { expected: ref.commit } }),
  protect: (name: string, branch: string, on: boolean) =>
    request<Ref>(inDataset(name, `branches/${segment(branch)}`), { method: "PATCH", body: { protected: on } }),
  merge: (name: string, merge: MergeRequest) => request<Merged>(inDataset(name, "merge"), { method: "POST", body: merge }),

  resolve: (name: string, ref: string) => request<Resolved>(`${base}/resolve`, { query: { reference: reference(name, ref) } }),
  log: (name: string, ref: string, limit: number, page_token?: string) =>
    request<Page<Commit>>(`${base}/log`, { query: { reference: reference(name, ref), limit, page_token } }),
  diff: (from: string, to: string, limit: number, page_token?: string) =>
    request<Diff>(`${base}/diff`, { query: { from, to, limit, page_token } }),

  /** Without its files: those come folder by folder. */
  version: (version: string) => request<VersionSummary>(`${base}/versions/${segment(version)}`, { query: { limit: 1 } }),
  folder: (version: string, path: string, limit: number, page_token?: string) =>
    request<Page<FolderItem>>(inVersion(version, "folder"), { query: { path, limit, page_token } }),
  bytes: async (version: string, path: string, signal?: AbortSignal): Promise<ArrayBuffer> =>
    (await send(fileAddress(version, path), { accept: "application/octet-stream", signal })).arrayBuffer(),
};
