// Tells a box that scrolls sideways on which sides it goes on, for the style sheet to fade its edges there.
import { useEffect, type RefObject } from "react";

/** Keeps `data-more` of the box at "", "left", "right" or "left right". */
export function useEdges(box: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const mark = (): void => {
      const left = element.scrollLeft > 1;
      const right = element.scrollLeft + element.clientWidth < element.scrollWidth - 1;
      element.dataset["more"] = [left && "left", right && "right"].filter(Boolean).join(" ");
    };
    const observer = new ResizeObserver(mark);
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    element.addEventListener("scroll", mark, { passive: true });
    mark();
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", mark);
    };
  }, [box]);
}
