// The newest requests of an endpoint: who sent it, who answered and why, how long it took, how it ended.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { endpoints, OUTCOMES, type EndpointView, type Outcome, type RequestRecord } from "../../../api/endpoints";
import { Id } from "../../../components/Command";
import { Empty, ErrorNote, Skeleton } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { State } from "../../../components/State";
import { Table } from "../../../components/Table";
import { absolute, count, plural, shortId } from "../../../lib/format";
import { FirstRequest } from "../live/FirstRequest";
import { PauseButton } from "../live/PauseButton";
import { POLL_MS } from "../live/stats";
import type { Live } from "../live/useLive";
import { RequestDetails } from "./RequestDetails";
import { attempts, keyed, micros, tokens, why } from "./words";

const SHOWN = 100;
/** What an endpoint remembers. */
const REMEMBERED = 1000;

interface Props {
  endpoint: EndpointView;
  live: Live;
  outcome: string | undefined;
}

export function RequestsPanel({ endpoint, live, outcome }: Props) {
  const { name } = endpoint;
  const [all, setAll] = useState(false);
  const [opened, setOpened] = useState<RequestRecord | undefined>(undefined);
  const wanted = OUTCOMES.find((one) => one === outcome);
  // Those of one outcome may be few among many.
  const limit = all || wanted ? REMEMBERED : SHOWN;
  const query = useQuery({
    queryKey: ["endpoint-requests", name, limit],
    queryFn: ({ signal }) => endpoints.requests(name, limit, signal),
    // A row does not move away from who reads it.
    refetchInterval: live.paused || opened !== undefined ? false : POLL_MS,
    placeholderData: keepPreviousData,
  });
  const records = query.data?.items ?? [];
  const rows = keyed(records).filter(({ record }) => wanted === undefined || record.outcome === wanted).slice(0, all ? REMEMBERED : SHOWN);
  return (
    <Panel title="Requests" aside={<PauseButton live={live} />}>
      {query.isPending ? <Skeleton lines={6} /> : query.data === undefined ? <ErrorNote error={query.error} retry={() => void query.refetch()} />
        : records.length === 0 ? <FirstRequest endpoint={endpoint} /> : (
          <>
            <Filters name={name} wanted={wanted} />
            {rows.length === 0 ? <Empty title={`None of the newest ${plural(records.length, "request")} is ${wanted}`} /> : <Rows rows={rows} onOpen={setOpened} />}
            <div className="toolbar">
              <span className="faint">{rows.length > 0 && told(rows.length, records.length, wanted)} Kept are the newest {count(REMEMBERED)}, until the server is started anew.</span>
              {!all && (records.length >= limit && wanted === undefined || rows.length === SHOWN) && <button type="button" className="button" onClick={() => setAll(true)}>Show all that are kept</button>}
            </div>
          </>
        )}
      {opened && <RequestDetails record={opened} endpoint={endpoint} onClose={() => setOpened(undefined)} />}
    </Panel>
  );
}

const told = (shown: number, of: number, wanted: Outcome | undefined): string =>
  (wanted ? `${count(shown)} ${wanted} of the newest ${plural(of, "request")}.` : `The newest ${plural(shown, "request")}, in the order in which they ended.`);

function Filters({ name, wanted }: { name: string; wanted: Outcome | undefined }) {
  return (
    <div className="filters" role="group" aria-label="Show requests that">
      {[undefined, ...OUTCOMES].map((one) => (
        <Link key={one ?? "all"} to="/endpoints/$name" params={{ name }} search={{ tab: "requests", outcome: one }} className="filter" activeOptions={{ exact: true, includeSearch: true }} aria-current={one === wanted ? "true" : undefined} replace resetScroll={false}>
          {one ?? "all"}
        </Link>
      ))}
    </div>
  );
}

type Row = ReturnType<typeof keyed<RequestRecord>>[number];

function Rows({ rows, onOpen }: { rows: Row[]; onOpen: (record: RequestRecord) => void }) {
  return (
    <Table
      label="Requests"
      rows={rows}
      rowKey={(one) => one.key}
      onOpen={({ record }) => onOpen(record)}
      columns={[
        { head: "Came", cell: ({ record }) => <button type="button" className="link number" title={absolute(record.at_ms)} aria-label={`Details of the request of ${clock(record.at_ms)}`} onClick={() => onOpen(record)}>{clock(record.at_ms)}</button> },
        { head: "Outcome", cell: ({ record }) => <><State state={record.outcome} />{record.shadow && <span className="faint"> copy</span>}{record.error && <> <code className="id">{record.error}</code></>}</> },
        { head: "Caller", cell: ({ record }) => <bdi className="caller" title={record.caller}>{record.caller}</bdi> },
        { head: "Replica", cell: ({ record }) => (record.replica === null ? <span className="faint">none</span> : <Id id={record.replica} short={shortId(record.replica)} />) },
        { head: "Why", wide: true, cell: ({ record }) => <>{why(record.reason)}{record.instead_of && <span className="faint">, instead of <bdi>{record.instead_of}</bdi></span>}</> },
        { head: "Attempts", cell: ({ record }) => attempts(record), number: true },
        { head: "First", cell: ({ record }) => micros(record.first_us), number: true },
        { head: "Total", cell: ({ record }) => micros(record.total_us), number: true },
        { head: "Tokens", cell: ({ record }) => tokens(record), number: true },
      ]}
    />
  );
}

/** To the millisecond: a hundred requests may come in one second. */
function clock(at: number): string {
  const date = new Date(at);
  const two = (value: number, digits = 2): string => String(value).padStart(digits, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
}
