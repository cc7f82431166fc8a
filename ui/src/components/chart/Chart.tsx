// One metric as a line, drawn by uPlot. The caption tells the value under the pointer, else the last one.
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { MetricPoint } from "../../api/tracking";
import { metric } from "../../lib/format";
import { useShownTheme } from "../../lib/theme";
import { seriesOf, summary, type Series } from "./series";

const HEIGHT = 150;

function options(series: Series, width: number, onHover: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--ink-3"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: { x: { time: series.axis === "time" } },
    axes: [
      { ...axis, size: 26, grid: { show: false } },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => metric(tick)) },
    ],
    series: [
      {},
      {
        stroke: colour("--live"),
        width: 1.6,
        spanGaps: true,
        // A single point draws no line.
        points: { show: (plot) => plot.data[0].length < 3, size: 6, fill: colour("--live") },
      },
    ],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx ?? null)] },
  };
}

export function Chart({ name, points }: { name: string; points: MetricPoint[] }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const theme = useShownTheme();
  const series = seriesOf(points);
  const latest = useRef(series);
  latest.current = series;

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const made = new uPlot(
      options(latest.current, element.clientWidth, setHover),
      [latest.current.x, latest.current.y],
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, series.axis]);

  useEffect(() => {
    plot.current?.setData([latest.current.x, latest.current.y]);
  }, [points]);

  const at = hover ?? series.x.length - 1;
  const value = series.y[at];
  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-name">{name}</span>
        <span className="number">
          {value === null || value === undefined ? "–" : metric(value)}
          {series.axis === "step" && <span className="faint"> at step {series.x[at]}</span>}
        </span>
      </figcaption>
      <div ref={host} role="img" aria-label={summary(name, series)} />
    </figure>
  );
}
