import type uPlot from "uplot";
import { Icon } from "../Icon";
import { metric } from "../../lib/format";
import { valueAt, type Row, type XAxis } from "./curves";
import type { Place } from "./CurveChart";
import type { DrawnRun } from "./Legend";
import { xText } from "./plot";

interface Props {
  name: string;
  runs: DrawnRun[];
  axis: XAxis;
  data: uPlot.AlignedData;
  place: Place | undefined;
  zoomed: boolean;
  onReset: () => void;
  onEnlarge?: () => void;
}

/** The metric's name; of one run the value under the pointer, else the last. */
export function Caption({ name, runs, axis, data, place, zoomed, onReset, onEnlarge }: Props) {
  const at = place?.index ?? data[0].length - 1;
  const value = runs.length === 1 ? valueAt((data[1] ?? []) as Row, at) : undefined;
  const x = data[0][at];
  return (
    <figcaption>
      <bdi className="chart-name" title={name}>{name}</bdi>
      {value !== undefined && x !== undefined && (
        <span className="number">{metric(value)} <span className="faint">at {axis === "step" ? "step " : ""}{xText(axis, x)}</span></span>
      )}
      <span className="chart-buttons">
        {zoomed && <button type="button" className="link" onClick={onReset}>Show all</button>}
        {onEnlarge && <button type="button" className="button-icon" aria-label={`Enlarge ${name}`} title="Enlarge" onClick={onEnlarge}><Icon name="enlarge" /></button>}
      </span>
    </figcaption>
  );
}
