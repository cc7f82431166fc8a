import type { KeyboardEvent } from "react";
import { count } from "../../lib/format";

interface Props {
  wanted: string;
  hits: number;
  at: number;
  onWanted: (text: string) => void;
  onMove: (by: 1 | -1) => void;
}

/** Search in the loaded lines: Enter for the next hit, Shift+Enter for the one before, Escape to clear. */
export function LogSearch({ wanted, hits, at, onWanted, onMove }: Props) {
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Enter") onMove(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") onWanted("");
    else return;
    event.preventDefault();
  };
  return (
    <div className="log-search">
      <input
        type="search"
        data-search
        aria-label="Search in the log"
        placeholder="Search (/)"
        value={wanted}
        onChange={(event) => onWanted(event.target.value)}
        onKeyDown={press}
      />
      {wanted !== "" && <span className="faint number" role="status">{hits === 0 ? "no hit" : `${count(at + 1)} of ${count(hits)}`}</span>}
    </div>
  );
}
