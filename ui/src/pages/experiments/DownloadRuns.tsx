// All runs of the search with the columns of the table, as a file.
import { useRef, useState } from "react";
import type { RunSearch } from "../../api/tracking";
import { Icon } from "../../components/Icon";
import { ErrorNote } from "../../components/Notice";
import { toCsv } from "../../lib/csv";
import { count } from "../../lib/format";
import { save } from "../../lib/save";
import { valueOf, type RunColumn } from "./columns";
import { everyRun } from "./everyRun";

const RUNS_MAX = 100_000;

interface Props {
  search: RunSearch;
  columns: RunColumn[];
  name: string;
}

export function DownloadRuns({ search, columns, name }: Props) {
  const [read, setRead] = useState<number | undefined>(undefined);
  const [error, setError] = useState<unknown>(undefined);
  const stop = useRef<AbortController | undefined>(undefined);
  const download = async (): Promise<void> => {
    const abort = new AbortController();
    stop.current = abort;
    setError(undefined);
    setRead(0);
    // Text page by page: the runs themselves need not stay.
    const parts = [toCsv([["run", "run_id", ...columns.filter((one) => one.id !== "attributes.id").map((one) => one.id)]])];
    let rows = 0;
    try {
      await everyRun(search, RUNS_MAX, (runs) => {
        parts.push(toCsv(runs.map((run) => [run.name, run.id, ...columns.filter((one) => one.id !== "attributes.id").map((column) => valueOf(run, column))])));
        rows += runs.length;
        setRead(rows);
      }, abort.signal);
      save(new Blob(parts, { type: "text/csv" }), `${name.replace(/[^\p{L}\p{N}_.-]+/gu, "-")}.csv`);
    } catch (problem) {
      if (!abort.signal.aborted) setError(problem);
    }
    setRead(undefined);
  };
  return (
    <>
      {read === undefined ? (
        <button type="button" className="button" onClick={() => void download()}><Icon name="download" />CSV</button>
      ) : (
        <button type="button" className="button" onClick={() => stop.current?.abort()}><Icon name="cross" /><span className="number">{count(read)} read</span></button>
      )}
      {error !== undefined && <ErrorNote error={error} />}
    </>
  );
}
