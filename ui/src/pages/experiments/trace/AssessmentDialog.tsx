// Says something about a trace, or changes what was said. What a judge said is not rewritten: the new feedback stands for it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";
import type { Session } from "../../../api/session";
import { traces, type Assessment, type Trace, type TraceSpan } from "../../../api/traces";
import { Dialog } from "../../../components/Dialog";
import { ErrorNote } from "../../../components/Notice";
import { SESSION } from "../../../lib/queries";
import { FORMS, formOf, read, typedOf, type Form } from "./assessmentValue";
import { useRefreshTrace } from "./Assessments";

interface Props {
  trace: Trace;
  /** Which span it may be about; the one that is shown. */
  span: TraceSpan | undefined;
  changed?: Assessment;
  onClose: () => void;
}

export function AssessmentDialog({ trace, span, changed, onClose }: Props) {
  const client = useQueryClient();
  const refresh = useRefreshTrace(trace.id);
  const id = useId();
  const [kind, setKind] = useState<"feedback" | "expectation">(changed?.kind === "expectation" ? "expectation" : "feedback");
  const [name, setName] = useState(changed?.name ?? "");
  const [form, setForm] = useState<Form>(changed ? formOf(changed.value) : "yesno");
  const [typed, setTyped] = useState(changed ? typedOf(changed.value) : "true");
  const [why, setWhy] = useState(changed?.rationale ?? "");
  const [about, setAbout] = useState(false);
  const [wrong, setWrong] = useState("");
  const others = changed !== undefined && changed.kind === "feedback" && changed.source.kind !== "HUMAN";
  const save = useMutation({
    mutationFn: async (value: unknown) => {
      const by = client.getQueryData<Session | null>(SESSION)?.name ?? "default";
      if (changed && !others) await traces.changeAssessment(trace.id, changed, value, why);
      else await traces.assess(trace.id, { name: name.trim(), kind, value, rationale: kind === "feedback" ? why : undefined, span: changed ? changed.span : about ? span?.id : undefined, by, overrides: changed?.id });
      await refresh();
    },
    onSuccess: onClose,
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const found = read(form, typed);
    setWrong("wrong" in found ? found.wrong : "");
    if ("value" in found && name.trim() !== "") save.mutate(found.value);
  };
  const pick = (to: Form): void => {
    setForm(to);
    setWrong("");
    setTyped(to === "yesno" ? "true" : "");
  };
  const known = [...new Set(trace.assessments.map((one) => one.name))].sort();
  return (
    <Dialog title={changed ? `Change ${changed.name}` : "Assess this trace"} onClose={onClose}>
      <form onSubmit={submit}>
        <div className="dialog-body assessment-form">
          {others && <p>This was said by {changed?.source.id ?? "a judge"}. What you say stands in its place, and both are kept.</p>}
          {!changed && (
            <>
              <label className="field-line">Name
                <input value={name} autoFocus required spellCheck={false} maxLength={250} list={`${id}-names`} placeholder={kind === "feedback" ? "correct" : "answer"} onChange={(event) => setName(event.target.value)} />
                <datalist id={`${id}-names`}>{known.map((one) => <option key={one} value={one} />)}</datalist>
              </label>
              <label className="field-line">What it is
                <select value={kind} onChange={(event) => setKind(event.target.value === "expectation" ? "expectation" : "feedback")}>
                  <option value="feedback">Feedback: how good it was</option>
                  <option value="expectation">Expectation: what should have come out</option>
                </select>
              </label>
            </>
          )}
          <label className="field-line">Form
            <select value={form} onChange={(event) => pick(event.target.value as Form)}>{FORMS.map((one) => <option key={one.id} value={one.id}>{one.label}</option>)}</select>
          </label>
          <label className="field-line">Value
            {form === "yesno" ? <select value={typed} onChange={(event) => setTyped(event.target.value)}><option value="true">yes</option><option value="false">no</option></select>
              : form === "number" ? <input inputMode="decimal" value={typed} aria-invalid={wrong !== ""} aria-describedby={`${id}-wrong`} onChange={(event) => setTyped(event.target.value)} />
                : <textarea rows={4} className={form === "json" ? "code" : undefined} spellCheck={form === "text"} value={typed} aria-invalid={wrong !== ""} aria-describedby={`${id}-wrong`} onChange={(event) => setTyped(event.target.value)} />}
          </label>
          <p className="tone-bad" id={`${id}-wrong`} role="alert">{wrong}</p>
          {kind === "feedback" && <label className="field-line">Why<textarea rows={3} value={why} onChange={(event) => setWhy(event.target.value)} /></label>}
          {!changed && span && (
            <label className="check"><input type="checkbox" checked={about} onChange={(event) => setAbout(event.target.checked)} />Only about the span <b>{span.name}</b></label>
          )}
        </div>
        {save.isError && <ErrorNote error={save.error} />}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>Back</button>
          <button type="submit" className="button button-main" disabled={name.trim() === "" || save.isPending}>Save it</button>
        </div>
      </form>
    </Dialog>
  );
}
