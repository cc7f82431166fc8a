import { Icon } from "../../../components/Icon";
import type { Live } from "./useLive";

/** Holds what is shown still, to be read. */
export function PauseButton({ live: { paused, setPaused } }: { live: Live }) {
  return (
    <>
      <span className="faint" role="status">{paused ? "Held still" : ""}</span>
      <button type="button" className="button" onClick={() => setPaused(!paused)}>
        <Icon name={paused ? "play" : "pause"} />{paused ? "Go on" : "Pause"}
      </button>
    </>
  );
}
