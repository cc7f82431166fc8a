// What a run or a logged model has stored: folder by folder, and the bytes of one file or only its beginning.
import { request, segment, send } from "./client";
import { segments } from "./data";
import type { TablePart } from "./tables";

export interface Artifact {
  path: string;
  folder: boolean;
  size_bytes: number;
}

/** Whose artifacts are meant, and where their bytes lie. */
export interface ArtifactRoot {
  kind: "run" | "model";
  id: string;
  uri: string;
}

interface WireArtifact {
  path: string;
  is_dir?: boolean;
  file_size?: number | string;
}

const SCHEME = "mlflow-artifacts:/";
const base = "/api/2.0";

/** Whether this server holds the bytes; an experiment may have a store of its own, which only clients reach. */
export const isHere = (root: ArtifactRoot): boolean => root.uri.startsWith(SCHEME) && !root.uri.startsWith(`${SCHEME}/`);

const fullPath = (root: ArtifactRoot, path: string): string => segments(`${root.uri.slice(SCHEME.length).replace(/\/$/, "")}/${path}`);

/** Where the bytes of a file are to be had. */
export const artifactAddress = (root: ArtifactRoot, path: string): string => `${base}/mlflow-artifacts/artifacts/${fullPath(root, path)}`;

/** The beginning of a file, and whether that is all of it. */
export interface Head {
  bytes: Uint8Array<ArrayBuffer>;
  whole: boolean;
}

/** Reads at most `limit` bytes: the server sends whole files, so the rest is refused once enough is here. */
export async function headOf(response: Response, limit: number): Promise<Head> {
  const reader = response.body?.getReader();
  const bytes = new Uint8Array(limit);
  let [length, whole] = [0, true];
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    const kept = value.subarray(0, limit - length);
    bytes.set(kept, length);
    length += kept.length;
    if (kept.length < value.length) {
      whole = false;
      await reader.cancel();
      break;
    }
  }
  return { bytes: bytes.slice(0, length), whole };
}

export const artifacts = {
  list: async (root: ArtifactRoot, folder: string): Promise<Artifact[]> => {
    const answer = root.kind === "run"
      ? await request<{ files?: WireArtifact[] }>(`${base}/mlflow/artifacts/list`, { query: { run_id: root.id, path: folder } })
      : await request<{ files?: WireArtifact[] }>(`${base}/mlflow/logged-models/${segment(root.id)}/artifacts/directories`, { query: { artifact_directory_path: folder } });
    return (answer.files ?? []).map((one) => ({ path: one.path, folder: one.is_dir === true, size_bytes: Number(one.file_size ?? 0) }));
  },
  table: (root: ArtifactRoot, path: string, offset: number, limit: number, signal?: AbortSignal): Promise<TablePart> =>
    request<TablePart>(`/api/v1/tracking/tables/${fullPath(root, path)}`, { query: { offset, limit }, signal }),
  head: async (root: ArtifactRoot, path: string, limit: number, signal?: AbortSignal): Promise<Head> =>
    headOf(await send(artifactAddress(root, path), { accept: "*/*", signal }), limit),
  bytes: async (root: ArtifactRoot, path: string, signal?: AbortSignal): Promise<ArrayBuffer> =>
    (await send(artifactAddress(root, path), { accept: "*/*", signal })).arrayBuffer(),
};
