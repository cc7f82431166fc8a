// What an endpoint does right now: the last seconds as numbers, the last minutes as curves, the rest as totals.
import { speaks, type EndpointView } from "../../../api/endpoints";
import { ErrorNote, Skeleton } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { FirstRequest } from "./FirstRequest";
import { LiveCharts } from "./LiveCharts";
import { LiveTiles } from "./LiveTiles";
import { PauseButton } from "./PauseButton";
import { isUntouched } from "./stats";
import { Totals } from "./Totals";
import type { Live } from "./useLive";

interface Props {
  endpoint: EndpointView;
  live: Live;
}

export function LivePanel({ endpoint, live }: Props) {
  const { samples, stats, error, retry } = live;
  if (stats === undefined) return <Panel title="Traffic">{error ? <ErrorNote error={error} retry={retry} /> : <Skeleton lines={6} />}</Panel>;
  if (isUntouched(stats)) return <Panel title="Traffic"><FirstRequest endpoint={endpoint} /></Panel>;
  const language = speaks(endpoint);
  return (
    <>
      {error !== null && <ErrorNote error={error} retry={retry} />}
      <LiveTiles samples={samples} language={language} />
      <Panel title="The last minutes" aside={<PauseButton live={live} />}>
        <LiveCharts name={endpoint.name} samples={samples} language={language} />
        <p className="live-note faint">
          Each point looks back over 10 seconds. Percentiles are estimated from how many requests fell between 1, 2, 5, 10, 25, 50, 100, 250 and
          500 ms, 1, 2.5, 5, 10 and 60 s, times between tokens from finer steps; of those above 60 s nothing more is known. While this window is hidden nothing is read.
        </p>
      </Panel>
      <Panel title="Since the server started"><Totals stats={stats} language={language} /></Panel>
    </>
  );
}
