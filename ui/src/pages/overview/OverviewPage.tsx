// The whole shop at a glance: what runs, what waits, what serves, what is wrong.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { endpoints } from "../../api/endpoints";
import { jobs } from "../../api/jobs";
import { runs } from "../../api/runs";
import { isFailing, system, type SystemStatus } from "../../api/system";
import { InventoryBars } from "../../components/Inventory";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { Ago } from "../../components/Time";
import { EndpointsTable } from "../endpoints/EndpointsTable";
import { RunsTable } from "../runs/RunsTable";
import { Workers } from "./Workers";

const REFRESH_MS = 3000;
const LATEST = 8;

export function OverviewPage() {
  const status = useQuery({ queryKey: ["status"], queryFn: system.status, refetchInterval: REFRESH_MS });
  const queue = useQuery({ queryKey: ["queue"], queryFn: jobs.queue, refetchInterval: REFRESH_MS });
  const latest = useQuery({ queryKey: ["runs", "latest"], queryFn: () => runs.list({ limit: LATEST }), refetchInterval: REFRESH_MS });
  const serving = useQuery({ queryKey: ["endpoints"], queryFn: endpoints.list, refetchInterval: REFRESH_MS });
  const failing = status.data?.workers.filter(isFailing).length ?? 0;
  const ready = serving.data?.items.filter((one) => one.state === "ready").length;
  return (
    <>
      <PageHead
        title="Overview"
        facts={status.data && <><span>Started <Ago at={status.data.started_ms} /></span><span className="faint">{databaseWords(status.data)}</span><code className="id whole">{status.data.home}</code></>}
      />
      <div className="tiles">
        <Tile label="Health" value={status.data ? (failing === 0 ? "Good" : "Attention") : undefined} tone={failing === 0 ? "good" : "bad"} under={failing === 0 ? "every worker is fine" : `${failing} of the workers ${failing === 1 ? "fails" : "fail"}`} />
        <Tile label="Running" value={queue.data?.running.length} under={queue.data?.running.length === 1 ? "job" : "jobs"} to="/queue" />
        <Tile label="Waiting" value={queue.data?.items.length} under={queue.data?.items.length === 1 ? "job in the queue" : "jobs in the queue"} to="/queue" />
        <Tile label="Endpoints" value={ready} under={`ready of ${serving.data?.items.length ?? "–"}`} to="/endpoints" />
      </div>
      <Panel title="Latest runs" aside={<Link to="/runs">All runs</Link>}>
        {latest.isPending ? <Skeleton /> : latest.isError ? <ErrorNote error={latest.error} retry={() => void latest.refetch()} />
          : latest.data.items.length === 0 ? (
            <Empty title="The engine is warm and idle" command="corliss run examples/chat/corliss.yaml">
              Put a real language model behind an endpoint that you can talk to. In a terminal:
            </Empty>
          ) : <RunsTable runs={latest.data.items} />}
      </Panel>
      <Panel title="Endpoints" aside={<Link to="/endpoints">All endpoints</Link>}>
        {serving.isPending ? <Skeleton lines={2} /> : serving.isError ? <ErrorNote error={serving.error} retry={() => void serving.refetch()} />
          : serving.data.items.length === 0 ? <p className="soft">Nothing is deployed. A project file deploys a model under its <code>endpoints:</code>.</p>
          : <EndpointsTable endpoints={serving.data.items} />}
      </Panel>
      <div className="columns">
        <Panel title="This machine">
          {status.isPending ? <Skeleton lines={3} /> : status.isError ? <ErrorNote error={status.error} retry={() => void status.refetch()} />
            : <InventoryBars inventory={status.data.inventory} />}
        </Panel>
        <Panel title="Background workers">
          {status.isPending ? <Skeleton lines={4} /> : status.data ? <Workers workers={status.data.workers} /> : <p className="soft">Not known.</p>}
        </Panel>
      </div>
    </>
  );
}

/** A database in the home is named without its place: the home stands beside it. */
const databaseWords = ({ database, home }: SystemStatus): string => (database.split(" at ")[1]?.startsWith(home) ? (database.split(" at ")[0] ?? database) : database);

interface TileProps {
  label: string;
  value: string | number | undefined;
  under: string;
  tone?: "good" | "bad";
  to?: "/queue" | "/endpoints";
}

function Tile({ label, value, under, tone, to }: TileProps) {
  const content = (
    <>
      <span className="tile-label">{label}</span>
      <span className={`tile-value${tone ? ` tone-${tone}` : ""}`}>{value ?? "–"}</span>
      <span className="tile-under">{value === undefined ? "not known yet" : under}</span>
    </>
  );
  return to ? <Link className="tile" to={to}>{content}</Link> : <div className="tile">{content}</div>;
}
