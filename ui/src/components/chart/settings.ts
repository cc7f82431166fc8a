// How charts are drawn: one choice for all of them, kept in this browser.
import { useSyncExternalStore } from "react";
import type { XAxis } from "./curves";

export interface ChartSettings {
  /** Undefined takes steps where there are any. */
  axis?: XAxis;
  /** 0 draws what was logged; towards 1 the past weighs more. */
  smoothing: number;
  logX: boolean;
  logY: boolean;
}

export const SMOOTHING_MAX = 0.99;
const KEY = "corliss-charts";
const DEFAULT: ChartSettings = { smoothing: 0, logX: false, logY: false };
const AXES: unknown[] = ["step", "time", "relative"];

/** What was kept may have been written by anybody: only what fits is taken. */
export function readSettings(text: string | null): ChartSettings {
  try {
    const read = JSON.parse(text ?? "{}") as Record<string, unknown> | null;
    const smoothing = Number(read?.["smoothing"]);
    return {
      axis: AXES.includes(read?.["axis"]) ? (read?.["axis"] as XAxis) : undefined,
      smoothing: smoothing >= 0 && smoothing <= SMOOTHING_MAX ? smoothing : 0,
      logX: read?.["logX"] === true,
      logY: read?.["logY"] === true,
    };
  } catch {
    return DEFAULT;
  }
}

let current: ChartSettings | undefined;
const listeners = new Set<() => void>();

function settings(): ChartSettings {
  if (current === undefined) {
    try {
      current = readSettings(localStorage.getItem(KEY));
    } catch {
      current = DEFAULT;
    }
  }
  return current;
}

export function changeSettings(change: Partial<ChartSettings>): void {
  current = { ...settings(), ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Storage is blocked: the choice lasts as long as this page.
  }
  listeners.forEach((listener) => listener());
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useChartSettings = (): ChartSettings => useSyncExternalStore(subscribe, settings);
