// A span for tests.
import type { TraceSpan } from "../../../api/traces";

export const aSpan = (id: string, parent?: string, made: Partial<TraceSpan> = {}): TraceSpan => ({
  id, parent, name: id, type: "UNKNOWN", kind: "internal", status: "ok", start_us: 0, end_us: 1, attributes: new Map(), events: [], links: [], ...made,
});
