import { memo } from "react";
import type { StepView } from "../../api/runs";
import { Icon } from "../../components/Icon";
import { look, StateIcon } from "../../components/State";
import { Span } from "../../components/Time";
import { stepSentence } from "./steps";

interface Props {
  step: StepView;
  chosen: boolean;
  tabIndex: 0 | -1;
  onChoose: (step: string) => void;
}

/** A step in the graph: name, state in word, icon and colour, time taken, restarts, workers, cache. */
export const StepNode = memo(function StepNode({ step, chosen, tabIndex, onChoose }: Props) {
  const { tone } = look(step.state);
  return (
    <button
      type="button"
      className={`node step edge-${tone}${chosen ? " chosen" : ""}`}
      data-step={step.name}
      data-state={step.state}
      aria-pressed={chosen}
      aria-label={stepSentence(step)}
      title={step.reason ?? undefined}
      tabIndex={tabIndex}
      onClick={() => onChoose(step.name)}
    >
      <span className="node-row">
        <StateIcon state={step.state} />
        <span className="node-title">{step.name}</span>
        {step.workers > 1 && <span className="faint" title={`${step.workers} workers`}>×{step.workers}</span>}
        {step.started_ms ? <Span from={step.started_ms} to={step.ended_ms} /> : null}
      </span>
      <span className="node-row node-under">
        <span className={`tone-${tone}`}>{step.state}</span>
        {step.attempt > 1 && <span className="chip chip-wait">attempt {step.attempt}</span>}
        {step.cached_from && <span className="chip"><Icon name="reuse" />cached</span>}
      </span>
    </button>
  );
});
