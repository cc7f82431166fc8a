// One span as a row of the waterfall. It is drawn again only when something of it changes.
import { memo } from "react";
import { Icon } from "../../../components/Icon";
import type { Node } from "./spanTree";
import { barOf, fine, type Part } from "./timeAxis";
import { familyOf, typeWords } from "./types";

/** Deeper ones are not moved in further: there would be no room for their names. */
const DEPTH_MAX = 14;
const INDENT_PX = 14;

interface Props {
  id: string;
  index: number;
  node: Node;
  open: boolean;
  /** It can neither be opened nor closed: the rows are those that were looked for. */
  fixed: boolean;
  part: Part;
  /** Where the trace ends as far as is known, for spans that go on. */
  end_us: number;
  active: boolean;
  chosen: boolean;
  onToggle: (id: string) => void;
  onChoose: (id: string) => void;
}

export const WaterfallRow = memo(function WaterfallRow({ id, index, node, open, fixed, part, end_us, active, chosen, onToggle, onChoose }: Props) {
  const { span, depth, children } = node;
  const live = span.end_us === undefined;
  const end = span.end_us ?? Math.max(end_us, span.start_us);
  const bar = barOf(span.start_us, end, part);
  const type = typeWords(span.type);
  const took = live ? "goes on" : fine((span.end_us ?? 0) - span.start_us);
  return (
    <div
      className={`wf-line${active ? " active" : ""}${chosen ? " chosen" : ""}`}
      id={id}
      role="row"
      aria-rowindex={index + 2}
      aria-level={depth + 1}
      aria-posinset={node.place}
      aria-setsize={node.siblings}
      aria-expanded={children.length === 0 ? undefined : open}
      aria-selected={chosen}
      onClick={() => onChoose(span.id)}
    >
      <span role="gridcell" className="wf-name" style={{ paddingLeft: 6 + Math.min(depth, DEPTH_MAX) * INDENT_PX }} title={node.orphan ? `${span.name}: the span it belongs to is not here` : span.name}>
        {children.length > 0 && !fixed ? (
          <button type="button" tabIndex={-1} className="wf-toggle" aria-label={open ? `Close ${span.name}` : `Open ${span.name}, ${node.below} below`} onClick={(event) => { event.stopPropagation(); onToggle(span.id); }}>
            <Icon name="right" className={open ? "tree-arrow open" : "tree-arrow"} />
          </button>
        ) : <span className="wf-toggle" />}
        <i className={`wf-dot ${familyOf(span.type)}`} />
        {span.status === "error" && <><Icon name="cross" className="tone-bad" /><span className="hidden-text">failed: </span></>}
        {live && <Icon name="arc" className="tone-live turning" />}
        <b><bdi>{span.name}</bdi></b>
        {type && <span className="wf-type faint">{type}</span>}
        {!open && <span className="wf-type faint number">+{node.below}</span>}
      </span>
      <span role="gridcell" className="wf-track" aria-label={`from ${fine(span.start_us)}`}>
        {bar && <i className={`wf-bar ${familyOf(span.type)}${span.status === "error" ? " failed" : ""}${live ? " live" : ""}`} style={{ left: `${bar.left * 100}%`, width: `${bar.width * 100}%` }} />}
      </span>
      <span role="gridcell" className={live ? "number tone-live" : "number"}>{took}</span>
    </div>
  );
});
