// Which rows of a box that scrolls are in the document; what uses it draws again only when they change, not at every pixel.
import { useCallback, useLayoutEffect, useState, type RefObject } from "react";
import { rowWindow } from "./window";

export interface RowWindow {
  view: [number, number];
  /** Looks again now: after the box was scrolled by a key, before anything is drawn. */
  measure: () => void;
}

export function useRowWindow(box: RefObject<HTMLElement | null>, rows: number): RowWindow {
  const [view, setView] = useState<[number, number]>([0, 40]);
  const measure = useCallback((): void => {
    const element = box.current;
    if (!element) return;
    const now = rowWindow(element.scrollTop, element.clientHeight, rows);
    setView((before) => (before[0] === now[0] && before[1] === now[1] ? before : now));
  }, [box, rows]);
  useScrolled(box, measure);
  return { view, measure };
}

/** Calls it now, and whenever the box was scrolled or has another size. */
export function useScrolled(box: RefObject<HTMLElement | null>, measure: () => void): void {
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    measure();
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [box, measure]);
}
