// Traces of an experiment, or of one of its runs: searched, ordered, opened. What is chosen stands in the address.
import { useMemo } from "react";
import { asApiError } from "../../../api/errors";
import type { TraceSearch } from "../../../api/traces";
import { Empty, ErrorNote, Skeleton } from "../../../components/Notice";
import { plural } from "../../../lib/format";
import { SearchBox } from "../search/SearchBox";
import { traceWords } from "../search/words";
import { orderOf } from "./columns";
import { examples, filterOf, joined } from "./filter";
import { FirstTrace } from "./FirstTrace";
import { TraceTable } from "./TraceTable";
import { useTraces } from "./useTraces";

interface Props {
  experiment: string;
  /** Its name, for the lines that make a first trace; none for the experiment that is always there. */
  name?: string;
  /** Only these, whatever is typed. */
  within?: string;
  typed: string | undefined;
  sort: string | undefined;
  onSearch: (typed: string) => void;
  onSort: (sort: string | undefined) => void;
}

export function TraceList({ experiment, name, within = "", typed = "", sort, onSearch, onSort }: Props) {
  const order = orderOf(sort);
  const search = useMemo<TraceSearch>(() => ({ experiment, filter: joined(within, filterOf(typed)), order }), [experiment, within, typed, order]);
  const traces = useTraces(search);
  const vocabulary = useMemo(() => traceWords(traces.rows), [traces.rows]);
  const shown = useMemo(() => examples(traces.rows), [traces.rows]);
  // A wrong filter is answered at its box; anything else is about the table.
  const refused = traces.error !== undefined && asApiError(traces.error).status === 400;
  const nothing = traces.loaded && traces.rows.length === 0 && !traces.more && !traces.stale && traces.error === undefined;
  if (nothing && typed === "") return within === "" ? <FirstTrace title="No trace in this experiment" experiment={name} /> : <Empty title="No trace of this run">A trace that begins while the run is active belongs to it; <code>MlflowClient().link_traces_to_run(…)</code> adds others.</Empty>;
  return (
    <>
      <div className="toolbar run-tools">
        <SearchBox
          label="Search traces"
          placeholder="Words, or a filter such as status = 'ERROR' (/)"
          value={typed}
          onChange={onSearch}
          error={refused ? traces.error : undefined}
          vocabulary={vocabulary}
          examples={shown}
          help={<>Plain words are looked for in all that went in and out. A filter compares attributes, <code>tags.</code>, <code>metadata.</code>, <code>feedback.</code>, <code>expectation.</code> and <code>span.</code>, joined by <code>AND</code>.</>}
        />
        <span className="number trace-count">{!traces.loaded ? "…" : `${plural(traces.rows.length, "trace")}${traces.more ? " or more" : ""}`}</span>
      </div>
      {traces.error !== undefined && !refused && <ErrorNote error={traces.error} retry={traces.retry} />}
      {traces.newer && <p className="run-bar"><button type="button" className="button" onClick={traces.renew}>Show newer traces</button></p>}
      {!traces.loaded ? <div className="run-grid">{traces.error === undefined ? <Skeleton lines={14} /> : <Empty title="No traces to show">The search above is refused, or its answer did not come.</Empty>}</div>
        : nothing ? <Empty title="No trace is found">The search above leaves none. Its examples show what else can be asked.</Empty>
          : <TraceTable search={search} traces={traces} sort={sort} onSort={onSort} />}
    </>
  );
}
