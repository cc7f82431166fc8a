// What people and judges said about a trace: feedback on what it did, and what was expected of it.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { traces, type Assessment, type Trace } from "../../../api/traces";
import { Confirm } from "../../../components/Confirm";
import { Icon } from "../../../components/Icon";
import { Empty } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { Ago } from "../../../components/Time";
import { useMayWriteData } from "../../../lib/may";
import { verdict } from "../traces/columns";
import { AssessmentDialog } from "./AssessmentDialog";
import { Text } from "./Content";
import type { SpanTree } from "./spanTree";

export function useRefreshTrace(id: string): () => Promise<unknown> {
  const client = useQueryClient();
  return () => Promise.all([client.invalidateQueries({ queryKey: ["trace", id] }), client.invalidateQueries({ queryKey: ["traces"] })]);
}

interface Props {
  trace: Trace;
  tree: SpanTree | undefined;
  /** The span that is shown. */
  chosen: string | undefined;
  onSpan: (id: string) => void;
}

export function Assessments({ trace, tree, chosen, onSpan }: Props) {
  const may = useMayWriteData();
  const [open, setOpen] = useState(false);
  const now = trace.assessments.filter((one) => one.valid);
  const before = trace.assessments.filter((one) => !one.valid);
  const node = chosen === undefined ? undefined : tree?.byId.get(chosen);
  return (
    <Panel title="Assessments" aside={may && <button type="button" className="button" onClick={() => setOpen(true)}><Icon name="plus" />Assess</button>}>
      {trace.assessments.length === 0 && <Empty title="Nobody has said anything">Feedback judges what the trace did, an expectation says what it should have done. Clients write them with <code>mlflow.log_feedback(…)</code> and <code>mlflow.log_expectation(…)</code></Empty>}
      <ul className="assessments">{now.map((one) => <Item key={one.id} trace={trace} one={one} tree={tree} may={may} onSpan={onSpan} />)}</ul>
      {before.length > 0 && (
        <details className="fold">
          <summary>{before.length} overridden</summary>
          <ul className="assessments">{before.map((one) => <Item key={one.id} trace={trace} one={one} tree={tree} may={false} onSpan={onSpan} />)}</ul>
        </details>
      )}
      {open && <AssessmentDialog trace={trace} span={node?.span} onClose={() => setOpen(false)} />}
    </Panel>
  );
}

const WHO: Record<string, string> = { HUMAN: "a person", LLM_JUDGE: "a judge", CODE: "code" };

function Item({ trace, one, tree, may, onSpan }: { trace: Trace; one: Assessment; tree: SpanTree | undefined; may: boolean; onSpan: (id: string) => void }) {
  const [change, setChange] = useState(false);
  const refresh = useRefreshTrace(trace.id);
  const span = one.span === undefined ? undefined : tree?.byId.get(one.span)?.span;
  const who = one.source.id && one.source.id !== "default" ? one.source.id : WHO[one.source.kind] ?? "somebody";
  const large = typeof one.value === "object" && one.value !== null;
  return (
    <li className={one.valid ? undefined : "overridden"}>
      <div className="assessment-line">
        <b><bdi>{one.name}</bdi></b>
        {!large && <Verdict one={one} />}
        {one.kind !== "feedback" && <span className="chip">{one.kind}</span>}
        <span className="faint">{who}{one.source.kind === "LLM_JUDGE" && who !== WHO["LLM_JUDGE"] && ", a judge"}, <Ago at={one.updated_ms} /></span>
        {one.span !== undefined && <span className="faint">about <button type="button" className="link" disabled={!span} onClick={() => onSpan(one.span ?? "")}>{span?.name ?? one.span}</button></span>}
        {may && one.kind !== "issue" && (
          <span className="assessment-actions">
            <button type="button" className="button-icon" aria-label={`Change ${one.name}`} title="Change" onClick={() => setChange(true)}><Icon name="pencil" /></button>
            <Confirm label={`Delete ${one.name}`} icon="cross" title={`Delete ${one.name}?`} confirm="Delete it" danger action={() => traces.deleteAssessment(trace.id, one.id).then(refresh)}>
              <p>{one.overrides ? "What it stands for counts again." : "It is gone for good."}</p>
            </Confirm>
          </span>
        )}
      </div>
      {large && <Text text={JSON.stringify(one.value, null, 2)} code />}
      {one.rationale && <p className="message">{one.rationale}</p>}
      {one.error && <p className="tone-bad">{[one.error.code, one.error.message].filter(Boolean).join(": ")}</p>}
      {change && <AssessmentDialog trace={trace} changed={one} span={span} onClose={() => setChange(false)} />}
    </li>
  );
}

const GOOD = new Set<unknown>([true, "yes", "pass", "correct"]);
const BAD = new Set<unknown>([false, "no", "fail", "incorrect"]);

/** The value, by word, icon and colour where it is a yes or a no. */
function Verdict({ one }: { one: Assessment }) {
  const value = typeof one.value === "string" ? one.value.toLowerCase() : one.value;
  if (one.kind === "feedback" && one.error) return <span className="state tone-wait"><Icon name="bang" />failed</span>;
  if (one.kind === "feedback" && GOOD.has(value)) return <span className="state tone-good"><Icon name="check" />{verdict(one)}</span>;
  if (one.kind === "feedback" && BAD.has(value)) return <span className="state tone-bad"><Icon name="cross" />{verdict(one)}</span>;
  return <bdi className="whole">{verdict(one)}</bdi>;
}
