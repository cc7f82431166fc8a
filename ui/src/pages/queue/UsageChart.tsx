// Usage by day, as columns of parts. The table below it says the same in numbers.
import { hours } from "../../lib/format";
import { ceiling, type Stack } from "./stack";

/** Colours of the style sheet, in the order of the names. */
const colour = (at: number): string => `var(--run-${at + 1})`;

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

export function UsageChart({ stack, unit }: { stack: Stack; unit: string }) {
  const top = ceiling(stack.most);
  const first = stack.columns[0];
  const last = stack.columns[stack.columns.length - 1];
  if (!first || !last) return null;
  return (
    <figure className="usage">
      <ul className="legend" aria-label="Colours">
        {stack.names.map((name, at) => <li key={name}><i className="usage-key" style={{ background: colour(at) }} /><bdi>{name}</bdi></li>)}
      </ul>
      <div className="usage-plot" role="img" aria-label={`${unit} by day from ${day(first.from_ms)} to ${day(last.from_ms)}, at most ${hours(stack.most)} in one`}>
        <span className="usage-top number">{hours(top)}</span>
        <span className="usage-half number">{hours(top / 2)}</span>
        {stack.columns.map((column) => (
          <div key={column.from_ms} className="usage-day" title={told(column.from_ms, stack.names, column.parts, unit)}>
            {column.parts.map((part, at) => part > 0 && <i key={stack.names[at]} style={{ background: colour(at), height: `${(part / top) * 100}%` }} />)}
          </div>
        ))}
      </div>
      <figcaption className="faint number"><span>{day(first.from_ms)}</span><span>{unit} by day, UTC</span><span>{day(last.from_ms)}</span></figcaption>
    </figure>
  );
}

function told(at: number, names: string[], parts: number[], unit: string): string {
  const each = names.flatMap((name, place) => ((parts[place] ?? 0) > 0 ? [`${name}: ${hours(parts[place] ?? 0)}`] : []));
  return `${day(at)}, ${unit}\n${each.length > 0 ? each.join("\n") : "nothing"}`;
}
