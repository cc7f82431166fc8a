// One file that differs: two pictures side by side, two tables row by row, of anything else the facts.
import { useQuery } from "@tanstack/react-query";
import type { FileChange, FileEntry } from "../../api/data";
import { tables } from "../../api/tables";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { bytes } from "../../lib/format";
import { imageType } from "../../lib/names";
import { FileFacts } from "./FileView";
import { FilePreview } from "./FilePreview";
import { ImageView } from "./ImageView";
import { TableCompare } from "./TableCompare";
import { delta } from "./words";

interface Props {
  /** Versions. */
  older: string;
  newer: string;
  change: FileChange;
}

export function FileCompare({ older, newer, change }: Props) {
  if (change.old && change.new) return <Both older={older} newer={newer} before={change.old} after={change.new} change={change} />;
  const [version, entry] = change.new ? [newer, change.new] : [older, change.old];
  if (!entry) return null;
  return (
    <>
      <p className="soft">{change.new ? "This file was not there before." : "This file is not there any more; this is how it was."}</p>
      <FileFacts version={version} entry={entry} />
      <FilePreview version={version} entry={entry} />
    </>
  );
}

interface BothProps extends Props {
  before: FileEntry;
  after: FileEntry;
}

function Both({ older, newer, before, after, change }: BothProps) {
  const type = imageType(after.path);
  const preview = useQuery({
    queryKey: ["preview-kind", newer, after.path],
    // One row: the kind and the columns are what is asked for.
    queryFn: () => tables.preview(newer, after.path, 0, 1).then((found) => found ?? null),
    staleTime: Infinity,
    enabled: change.change === "changed" && type === undefined,
  });
  if (change.change === "mode") return <p className="soft">The bytes are the same. It {after.executable ? "may be executed now" : "may not be executed any more"}.</p>;
  if (type !== undefined) return <Pictures older={older} newer={newer} before={before} after={after} type={type} />;
  return (
    <>
      <p className="soft">{bytes(before.size_bytes)} before, {bytes(after.size_bytes)} after ({delta(change)}).{before.executable !== after.executable && ` It ${after.executable ? "may be executed now" : "may not be executed any more"}.`}</p>
      {preview.isPending ? <Skeleton lines={6} /> : preview.isError ? (
        <ErrorNote error={preview.error} retry={() => void preview.refetch()} />
      ) : preview.data?.kind === "table" ? (
        <TableCompare from={older} to={newer} path={after.path} schema={preview.data.schema} />
      ) : (
        <Empty title="The bytes differ">Pictures are compared side by side, and CSV, JSON lines and Parquet row by row. Download both to compare them elsewhere.</Empty>
      )}
      <Sides older={older} newer={newer} before={before} after={after} />
    </>
  );
}

type Sided = Omit<BothProps, "change">;

function Sides({ older, newer, before, after }: Sided) {
  return (
    <div className="sides">
      <section aria-label="Before"><h4>Before</h4><FileFacts version={older} entry={before} /></section>
      <section aria-label="After"><h4>After</h4><FileFacts version={newer} entry={after} /></section>
    </div>
  );
}

function Pictures({ older, newer, before, after, type }: Sided & { type: string }) {
  return (
    <div className="sides">
      <section aria-label="Before"><h4>Before</h4><FileFacts version={older} entry={before} /><ImageView version={older} entry={before} type={type} /></section>
      <section aria-label="After"><h4>After</h4><FileFacts version={newer} entry={after} /><ImageView version={newer} entry={after} type={type} /></section>
    </div>
  );
}
