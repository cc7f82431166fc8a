// How many runs a search finds. The server answers pages, not counts, so the end of the list is looked for: a few dozen
// questions about one run each, instead of the runs.
import { tracking, type RunSearch } from "./tracking";

/** The least number of items of which there is none at that place. `has` tells whether there is one at a place. */
export async function lengthOf(has: (place: number) => Promise<boolean>, guess = 64): Promise<number> {
  // At least `low` items are there, and at most `high`.
  let [low, high] = [0, Math.max(1, guess) - 1];
  if (await has(high)) {
    low = high + 1;
    // It may have grown by a few since it was guessed.
    for (let step = 1; ; step *= 4) {
      high = low + step - 1;
      if (!(await has(high))) break;
      low = high + 1;
    }
  }
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await has(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const countRuns = (search: RunSearch, guess: number | undefined, signal?: AbortSignal): Promise<number> =>
  lengthOf(async (place) => (await tracking.runs(search, place, 1, signal)).items.length > 0, guess);
