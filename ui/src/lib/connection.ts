// Whether the server answers. Every query reports here, so one banner tells that what is shown is stale.
import { useSyncExternalStore } from "react";

let lostSince: number | undefined;
const listeners = new Set<() => void>();

export function report(reached: boolean): void {
  const next = reached ? undefined : (lostSince ?? Date.now());
  if (next === lostSince) return;
  lostSince = next;
  listeners.forEach((listener) => listener());
}

/** The time since when the server has not answered, or undefined while it does. */
export const useLostSince = (): number | undefined =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => lostSince,
  );
