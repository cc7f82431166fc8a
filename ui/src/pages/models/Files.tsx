// What a version's files are: whole, damaged, or pickles. Each mark is a word, an icon and a colour.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { models, type FileCheck, type FileCounts, type VersionDetail } from "../../api/models";
import { ErrorNote } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { State, StateIcon, look } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { bytes, count } from "../../lib/format";
import { useMayWriteData } from "../../lib/may";
import { worst } from "./words";

/** Files that are shown; the others are counted. */
const SHOWN = 200;

/** The worst of a version's files, for a row of a table. */
export function FilesMark({ counts }: { counts: FileCounts | undefined }) {
  const mark = worst(counts);
  if (mark === undefined) return <span className="faint">–</span>;
  return <span className={`state tone-${look(mark.state).tone}`} title={mark.words}><StateIcon state={mark.state} />{mark.state}</span>;
}

export function Files({ name, version }: { name: string; version: VersionDetail }) {
  const client = useQueryClient();
  const may = useMayWriteData();
  const check = useMutation({
    mutationFn: () => models.check(name, version.version),
    onSuccess: () => client.invalidateQueries({ queryKey: ["model", name] }),
  });
  const files = version.files ?? [];
  return (
    <Panel title="Files" aside={version.checked_ms !== undefined && <span>looked at <Ago at={version.checked_ms} /></span>}>
      {files.length === 0 ? <p className="soft">Nobody has looked at them yet.</p> : (
        <Table<FileCheck>
          label="Files"
          rows={files.slice(0, SHOWN)}
          rowKey={(one) => one.path}
          columns={[
            { head: "File", wide: true, cell: (one) => <bdi>{one.path}</bdi> },
            { head: "Is", cell: (one) => <State state={one.verdict} /> },
            { head: "Format", cell: (one) => one.format || <span className="faint">–</span> },
            { head: "Size", number: true, cell: (one) => bytes(one.size_bytes) },
            { head: "Details", wide: true, cell: (one) => <>{one.detail}{one.at_byte !== undefined && ` (at byte ${count(one.at_byte)})`}</> },
          ]}
        />
      )}
      {files.length > SHOWN && <p className="soft">{count(files.length - SHOWN)} more are not shown; those above are the worst.</p>}
      {version.checked !== undefined && version.checked.unsafe > 0 && <p className="message">A pickle runs code of whoever made it when it is loaded, so it never is. An ONNX or GGUF file beside it is served if a platform-admin says so.</p>}
      {check.isError && <ErrorNote error={check.error} />}
      {may && <div className="toolbar"><button type="button" className="button" disabled={check.isPending} onClick={() => check.mutate()}>{check.isPending ? "Looking…" : "Look again"}</button></div>}
    </Panel>
  );
}
