// What goes on right now, as lines that move to the left while they are looked at. Arrow keys move the cursor.
import { useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type uPlot from "uplot";
import { useShownTheme } from "../../lib/theme";
import { LastValues } from "./LastValues";
import type { Place } from "./CurveChart";
import { Swatch, type DrawnRun } from "./Legend";
import { optionsOf } from "./plot";
import { Tip } from "./Tip";
import { moveCursor, placeAfter, usePlot } from "./usePlot";

export interface LiveLine extends DrawnRun {
  values: (number | undefined)[];
}

interface Props {
  name: string;
  /** The moments, in milliseconds. */
  at: number[];
  /** One value for each moment; undefined where nothing is known. */
  lines: LiveLine[];
  text: (value: number) => string;
  /** As the y axis writes them, if that is another way. */
  ticks?: (value: number) => string;
  /** What the y axis shows at least, from 0. */
  least: number;
  /** Where the y axis ends, whatever is drawn. */
  most?: number;
  /** Charts of one key show the same place under the pointer. */
  sync: string;
  /** What is said while there is no value. */
  none: string;
}

const HEIGHT = 150;
/** A line of a few seconds is not drawn over the whole width. */
const SHOWN_MIN_S = 120;

export function LiveChart({ name, at, lines, text, ticks = text, least, most, sync, none }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<Place | undefined>(undefined);
  const id = useId();
  const theme = useShownTheme();
  const data = useMemo<uPlot.AlignedData>(() => [at.map((one) => one / 1000), ...lines.map((line) => line.values.map((value) => value ?? null))], [at, lines]);
  const shape = `${theme} ${sync} ${lines.map((line) => `${line.id}${line.look.colour}${line.look.dash.join()}`).join()}`;
  const latest = useRef({ data, ticks });
  latest.current = { data, ticks };
  const plot = usePlot(host, shape, HEIGHT, data, (size, element) => optionsOf(lines, { axis: "time", smoothing: 0, logX: false, logY: false, range: undefined, live: { text: (value) => latest.current.ticks(value), least, most } }, size, sync, {
    onCursor: (drawn) => setPlace(drawn.cursor.idx === null || drawn.cursor.idx === undefined ? undefined : { index: drawn.cursor.idx, left: drawn.cursor.left ?? 0, here: element.matches(":hover, :focus-visible") }),
    onZoom: () => undefined,
    range: () => shownRange(latest.current.data[0]),
  }));
  const press = (event: KeyboardEvent): void => {
    const made = plot.current;
    if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = placeAfter(event.key, place?.index, at.length - 1);
    if (to === undefined) return;
    moveCursor(made, to);
    event.preventDefault();
    event.stopPropagation();
  };
  const known = lines.map((line) => ({ name: line.name, curve: { y: line.values.filter((value) => value !== undefined) } }));
  const empty = known.every((line) => line.curve.y.length === 0);
  return (
    <figure className="chart" data-chart={name}>
      <figcaption>
        <span className="chart-name" title={name}>{name}</span>
        <span className="chart-lines">{lines.map((line) => <span key={line.id}><Swatch look={line.look} />{line.name}</span>)}</span>
      </figcaption>
      <div className="chart-box" style={{ height: HEIGHT }}>
        <div ref={host} className="chart-plot" role="group" tabIndex={0} aria-roledescription="chart" aria-label={name} aria-describedby={id} onKeyDown={press} onBlur={() => setPlace(undefined)} />
        {place?.here && <Tip axis="time" runs={lines} data={data} place={place} width={host.current?.clientWidth ?? 0} smooth={false} live={text} />}
        {empty && <p className="chart-none faint">{none}</p>}
      </div>
      <LastValues id={id} name={name} runs={known} head="Line" text={text} />
    </figure>
  );
}

/** From the first moment to the last, and not less than a while. */
function shownRange(x: ArrayLike<number>): [number, number] {
  const last = x[x.length - 1] ?? Date.now() / 1000;
  return [Math.min(x[0] ?? last, last - SHOWN_MIN_S), last];
}
