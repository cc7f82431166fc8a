// Which runs are chosen. They stay chosen while one scrolls, sorts and searches on.
import { useCallback, useMemo, useRef, useState } from "react";
import type { TrackingRun } from "../../api/tracking";
import type { Runs } from "./useRuns";

export interface Selection {
  /** Names by id, in the order in which they were chosen. */
  chosen: Map<string, string>;
  toggle: (run: TrackingRun, index: number) => void;
  /** From the run chosen last, or from `from`, to this one; rows that are not loaded are left out. */
  range: (runs: Runs, from: number | undefined, to: number) => void;
  clear: () => void;
}

export function useSelection(): Selection {
  const [chosen, setChosen] = useState<Map<string, string>>(() => new Map());
  const anchor = useRef(0);
  const toggle = useCallback((run: TrackingRun, index: number): void => {
    anchor.current = index;
    setChosen((before) => {
      const after = new Map(before);
      if (!after.delete(run.id)) after.set(run.id, run.name);
      return after;
    });
  }, []);
  const range = useCallback((runs: Runs, from: number | undefined, to: number): void => {
    const start = from ?? anchor.current;
    anchor.current = to;
    setChosen((before) => {
      const after = new Map(before);
      for (let index = Math.min(start, to); index <= Math.max(start, to); index += 1) {
        const run = runs.row(index);
        if (run) after.set(run.id, run.name);
      }
      return after;
    });
  }, []);
  const clear = useCallback(() => setChosen(new Map()), []);
  return useMemo(() => ({ chosen, toggle, range, clear }), [chosen, toggle, range, clear]);
}
