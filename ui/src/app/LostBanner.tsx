import { useQueryClient } from "@tanstack/react-query";
import { Icon } from "../components/Icon";
import { absolute } from "../lib/format";
import { useLostSince } from "../lib/connection";

/** Says that what is shown is old, since when, and what to do. */
export function LostBanner() {
  const since = useLostSince();
  const client = useQueryClient();
  return (
    <div role="status" aria-live="assertive">
      {since !== undefined && (
        <div className="note note-bad banner">
          <Icon name="bang" />
          <p>
            Corliss has not answered since <time title={absolute(since)}>{new Date(since).toLocaleTimeString()}</time>. What you see
            is from before. Start it with <code>corliss up</code>; this page goes on by itself.
          </p>
          <button type="button" className="button" onClick={() => void client.refetchQueries({ type: "active" })}>Try now</button>
        </div>
      )}
    </div>
  );
}
