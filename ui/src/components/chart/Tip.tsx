import type uPlot from "uplot";
import { metric } from "../../lib/format";
import { valueAt, type Row, type XAxis } from "./curves";
import type { Place } from "./CurveChart";
import { Swatch, type DrawnRun } from "./Legend";
import { xText } from "./plot";

const SHOWN = 14;

interface Props {
  axis: XAxis;
  runs: DrawnRun[];
  data: uPlot.AlignedData;
  place: Place;
  width: number;
  smooth: boolean;
  /** Values in words; nothing is shown where there is none, not even an earlier one. */
  live?: (value: number) => string;
}

/** The values of all runs at the place under the pointer, greatest first. */
export function Tip({ axis, runs, data, place, width, smooth, live }: Props) {
  const x = data[0][place.index];
  if (x === undefined) return null;
  const values = runs
    .flatMap((run, index) => {
      const row = (data[index + 1 + (smooth ? runs.length : 0)] ?? []) as Row;
      const value = live ? row[place.index] : valueAt(row, place.index);
      return value === undefined || value === null ? [] : [{ run, value }];
    })
    .sort((a, b) => b.value - a.value);
  const side = place.left > width / 2 ? { right: width - place.left + 4 } : { left: place.left + 72 };
  return (
    <div className="chart-tip" style={side} aria-hidden="true">
      <p className="faint">{axis === "step" ? "step " : ""}{xText(axis, x)}{smooth ? ", smoothed" : ""}</p>
      <ul>
        {values.slice(0, SHOWN).map(({ run, value }) => (
          <li key={run.id}><Swatch look={run.look} /><span className="chart-tip-name">{run.name}</span><b className="number">{(live ?? metric)(value)}</b></li>
        ))}
      </ul>
      {values.length > SHOWN && <p className="faint">and {values.length - SHOWN} below</p>}
      {values.length === 0 && <p className="faint">no values here</p>}
    </div>
  );
}
