import { request, segment, type Page } from "./client";

export interface DatasetSummary {
  name: string;
  latest: string;
  versions: number;
  size_bytes: number;
  files: number;
  updated_ms: number;
}

export interface DatasetVersion {
  version: string;
  created_ms: number;
  message?: string | null;
  size_bytes: number;
  files: number;
}

/** A dataset with the moves of its name, newest first; `versions` counts them. */
export interface Dataset extends DatasetSummary {
  history: DatasetVersion[];
}

export interface FileEntry {
  path: string;
  blob: string;
  size_bytes: number;
  executable: boolean;
}

export interface VersionDetail {
  version: string;
  size_bytes: number;
  files: number;
  entries: FileEntry[];
  next_page_token?: string;
  names: string[];
}

const base = "/api/v1/data";

export const fileAddress = (version: string, path: string): string =>
  `${base}/versions/${segment(version)}/files/${path.split("/").map(segment).join("/")}`;

export const data = {
  datasets: () => request<Page<DatasetSummary>>(`${base}/datasets`),
  dataset: (name: string) => request<Dataset>(`${base}/datasets/${segment(name)}`),
  version: (version: string, page_token?: string) =>
    request<VersionDetail>(`${base}/versions/${segment(version)}`, { query: { page_token } }),
};
