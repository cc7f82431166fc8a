// A trace for tests.
import type { Trace } from "../../../api/traces";

export const aTrace = (id: string, made: Partial<Trace> = {}): Trace => ({
  id, experiment: "1", name: id, state: "ok", started_ms: 1000, took_ms: 10, request: "", response: "", metadata: new Map(), tags: new Map(), assessments: [], tokens: {}, ...made,
});
