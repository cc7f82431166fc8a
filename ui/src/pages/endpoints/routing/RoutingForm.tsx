import { useMutation } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { endpoints, STRATEGIES, type EndpointView, type Routing, type Strategy } from "../../../api/endpoints";
import { asApiError, sentence } from "../../../api/errors";
import { ErrorNote, Note } from "../../../components/Notice";
import { draftOf, fieldOf, routingOf, type Draft, type Field, type Problems } from "./draft";
import { STRATEGY_WORDS } from "./words";

const EXAMPLE = '[{"when": [{"header": {"name": "x-tier", "is": "gold"}}], "to": {"version": 3}}]';

interface Props {
  endpoint: EndpointView;
  onSaved: (answer: EndpointView) => void;
  onBack: () => void;
}

export function RoutingForm({ endpoint, onSaved, onBack }: Props) {
  const began = useRef(endpoint.routing);
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState<Draft>(() => draftOf(endpoint.routing));
  const [problems, setProblems] = useState<Problems>({});
  useEffect(() => form.current?.querySelector("select")?.focus(), []);
  const meanwhile = JSON.stringify(began.current) !== JSON.stringify(endpoint.routing);
  const show = (found: Problems): void => {
    setProblems(found);
    const first = Object.keys(draft).find((field) => found[field as Field] !== undefined);
    if (first) requestAnimationFrame(() => form.current?.querySelector<HTMLElement>(`[data-field="${first}"]`)?.focus());
  };
  const save = useMutation({
    mutationFn: (routing: Partial<Routing>) => endpoints.route(endpoint.name, routing),
    onSuccess: onSaved,
    onError: (error) => {
      const { report } = asApiError(error);
      const field = fieldOf(report.field, draft);
      if (field) show({ [field]: sentence(report.message) });
    },
  });
  const elsewhere = save.isError && fieldOf(asApiError(save.error).report.field, draft) === undefined;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const said = routingOf(draft);
    save.reset();
    if ("problems" in said) show(said.problems);
    else {
      setProblems({});
      save.mutate(said.routing);
    }
  };
  const set = (field: Field, value: string): void => {
    setDraft({ ...draft, [field]: value });
    // It was about what stood there before.
    if (problems[field] !== undefined) setProblems({ ...problems, [field]: undefined });
  };
  // Of one strategy only, but what is wrong is never out of sight.
  const asked = (field: Field, strategy: Strategy): boolean => draft.router === strategy || problems[field] !== undefined;
  const input = (field: Field, label: string, under: ReactNode, props: { placeholder?: string; numeric?: boolean } = {}): ReactNode =>
    <TextField field={field} label={label} under={under} value={draft[field]} problem={problems[field]} onChange={(value) => set(field, value)} {...props} />;
  return (
    <form className="routing-form" ref={form} onSubmit={submit} aria-label={`Routing of ${endpoint.name}`} noValidate>
      {meanwhile && <Note bad={false}>The routing was changed since you began, as told above. What you save replaces it whole.</Note>}
      <fieldset>
        <legend>Choice of a replica</legend>
        <label className="form-field">Strategy
          <select data-field="router" value={draft.router} onChange={(event) => set("router", event.target.value as Strategy)}>
            {STRATEGIES.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
          <span className="faint">{STRATEGY_WORDS[draft.router]}</span>
        </label>
        {asked("session_header", "session_affinity") && input("session_header", "Header of the session", "its value names the session")}
        {asked("weights", "weighted") && input("weights", "Weights of versions", "any other version has 1", { placeholder: "2=9, 3=1" })}
        {asked("prefix_slack_tokens", "prefix_aware") && input("prefix_slack_tokens", "Slack, tokens", "more to compute than the least busy replica, and still preferred", { numeric: true })}
        {input("concurrent_max", "Requests at once", "empty: what the server allows", { numeric: true })}
      </fieldset>
      <fieldset>
        <legend>When one does not answer</legend>
        {input("attempts", "Replicas in all", "1 to 8; 1 tries nothing again", { numeric: true })}
        {input("budget_percent", "Budget, %", "further attempts, hedges included, of the requests", { numeric: true })}
        {input("hedge_after_ms", "Hedge after, ms", "empty: no hedge", { numeric: true })}
        {input("attempt_timeout_ms", "Time-out of an attempt, ms", "to the first answer; empty: none of its own", { numeric: true })}
        {input("timeout_ms", "Time-out of all, ms", "to the first answer; empty: what the server allows", { numeric: true })}
        {input("fallback", "Fallback endpoints", "asked one after another", { placeholder: "small, other" })}
      </fieldset>
      <fieldset>
        <legend>What it costs, for the budgets of callers</legend>
        {input("price_prompt", "A million tokens of prompts", "in the unit of budgets")}
        {input("price_cached", "A million that were cached", "empty: as any other")}
        {input("price_answer", "A million tokens of answers", "in the unit of budgets")}
        {input("price_request", "A request", "of tensors too")}
      </fieldset>
      <fieldset className="rules-field">
        <legend>Rules</legend>
        <TextField
          field="rules"
          label="Rules as JSON"
          under={<>The first that holds decides. Conditions: <code>version</code>, <code>header</code>, <code>tenant</code>, <code>prompt_tokens</code>; to <code>"all"</code>, <code>version</code>, <code>replicas</code> or <code>pool</code>. For example <code className="whole">{EXAMPLE}</code></>}
          value={draft.rules}
          problem={problems.rules}
          lines={Math.min(16, Math.max(4, draft.rules.split("\n").length + 1))}
          onChange={(value) => set("rules", value)}
        />
      </fieldset>
      {elsewhere && <ErrorNote error={save.error} />}
      <div className="toolbar">
        <button type="submit" className="button button-main" disabled={save.isPending}>{save.isPending ? "Saving…" : "Save"}</button>
        <button type="button" className="button" onClick={onBack}>Leave it as it is</button>
      </div>
    </form>
  );
}

interface TextProps {
  field: Field;
  label: string;
  under: ReactNode;
  value: string;
  problem: string | undefined;
  placeholder?: string;
  numeric?: boolean;
  /** Of a box for more than a line. */
  lines?: number;
  onChange: (value: string) => void;
}

function TextField({ field, label, under, value, problem, placeholder, numeric, lines, onChange }: TextProps) {
  const id = useId();
  const shared = {
    id, value, placeholder, spellCheck: false, "data-field": field, "aria-invalid": problem !== undefined, "aria-describedby": `${id}-under ${id}-problem`,
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
  };
  return (
    <div className="form-field">
      <label htmlFor={id}>{label}</label>
      {lines === undefined ? <input {...shared} autoComplete="off" inputMode={numeric ? "numeric" : undefined} /> : <textarea {...shared} className="code" rows={lines} />}
      <span id={`${id}-under`} className="faint">{under}</span>
      <span id={`${id}-problem`} className="tone-bad" role="alert">{problem}</span>
    </div>
  );
}
