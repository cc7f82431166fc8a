// Colours of runs. A run keeps its colour wherever it is drawn while the console is open; runs beyond the eighth have
// dashes too, so that no two lines of a chart look the same before the twenty-fifth.

export interface Look {
  /** A colour of the style sheet. */
  colour: string;
  dash: number[];
}

const COLOURS = 8;
const DASHES: number[][] = [[], [6, 4], [2, 3]];
const PLACES = COLOURS * DASHES.length;

function hash(id: string): number {
  let value = 2166136261;
  for (let at = 0; at < id.length; at += 1) value = Math.imul(value ^ id.charCodeAt(at), 16777619);
  return value >>> 0;
}

/**
 * A place for each run: the one it had; else the one its id points to if it is free; else the next free one, solid lines
 * first. `memory` is what was given before, and is added to.
 */
export function placesOf(ids: string[], memory: Map<string, number>): Map<string, number> {
  const taken = new Set<number>();
  const given = new Map<string, number>();
  const give = (id: string, place: number): void => {
    given.set(id, place);
    taken.add(place);
    memory.set(id, place);
  };
  for (const id of ids) {
    const before = memory.get(id);
    if (before !== undefined && !taken.has(before)) give(id, before);
  }
  for (const id of ids) {
    if (given.has(id)) continue;
    const wanted = hash(id) % COLOURS;
    const all = Array.from({ length: PLACES }, (_, at) => (at < COLOURS ? (wanted + at) % COLOURS : at));
    give(id, all.find((place) => !taken.has(place)) ?? hash(id) % PLACES);
  }
  return given;
}

export const lookOf = (place: number): Look => ({ colour: `--run-${(place % COLOURS) + 1}`, dash: DASHES[Math.floor(place / COLOURS)] ?? [] });

const memory = new Map<string, number>();

/** How each of these runs is drawn. */
export const looksOf = (ids: string[]): Map<string, Look> => new Map([...placesOf(ids, memory)].map(([id, place]) => [id, lookOf(place)]));
