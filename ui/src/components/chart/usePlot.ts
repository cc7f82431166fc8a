// Keeps a uPlot in a box: made anew where its shape changes, fed where only its data do, as wide as the box.
import { useEffect, useRef, type RefObject } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** `options` is asked when the plot is made; what it reads later it must read from a ref, or be part of the shape. */
export function usePlot(
  host: RefObject<HTMLElement | null>,
  shape: string,
  height: number,
  data: uPlot.AlignedData,
  options: (size: { width: number; height: number }, element: HTMLElement) => uPlot.Options,
): RefObject<uPlot | null> {
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ data, options });
  latest.current = { data, options };

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const size = (): { width: number; height: number } => ({ width: element.clientWidth, height });
    const made = new uPlot(latest.current.options(size(), element), latest.current.data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [host, shape, height]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);
  return plot;
}

/** Where a key moves the cursor to, from the place that it is at; undefined for keys that move nothing. */
export function placeAfter(key: string, at: number | undefined, last: number): number | undefined {
  const step = Math.max(1, Math.round((last + 1) / 100));
  const to = { ArrowLeft: (at ?? last + step) - step, ArrowRight: (at ?? -step) + step, Home: 0, End: last }[key];
  return to === undefined ? undefined : Math.max(0, Math.min(last, to));
}

export function moveCursor(plot: uPlot, index: number): void {
  plot.setCursor({ left: plot.valToPos(plot.data[0][index] ?? 0, "x"), top: plot.over.clientHeight / 2 });
}
