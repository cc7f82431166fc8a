import { changeSettings, SMOOTHING_MAX, useChartSettings } from "./settings";
import type { XAxis } from "./curves";

const AXES: [XAxis | "", string][] = [["", "automatic"], ["step", "step"], ["time", "time of day"], ["relative", "time since the start"]];

/** What all charts have in common. */
export function ChartTools() {
  const { axis, smoothing, logX, logY } = useChartSettings();
  return (
    <>
      <label>Along
        <select value={axis ?? ""} onChange={(event) => changeSettings({ axis: (event.target.value || undefined) as XAxis | undefined })}>
          {AXES.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
        </select>
      </label>
      <label>Smoothing
        <input type="range" min={0} max={SMOOTHING_MAX} step={0.01} value={smoothing} onChange={(event) => changeSettings({ smoothing: Number(event.target.value) })} />
        <output className="number smoothing">{smoothing.toFixed(2)}</output>
      </label>
      <label className="check"><input type="checkbox" checked={logY} onChange={(event) => changeSettings({ logY: event.target.checked })} />log y</label>
      <label className="check"><input type="checkbox" checked={logX} onChange={(event) => changeSettings({ logX: event.target.checked })} />log x</label>
    </>
  );
}
