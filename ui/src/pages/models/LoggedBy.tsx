import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking } from "../../api/tracking";
import { Ago } from "../../components/Time";

/** The tracking run that made a version: who ran it, and when. */
export function LoggedBy({ id }: { id: string }) {
  const query = useQuery({ queryKey: ["tracking", id], queryFn: () => tracking.run(id), staleTime: 60_000, structuralSharing: false });
  const run = query.data;
  return (
    <div>
      <dt>logged by</dt>
      <dd>
        {run ? <Link to="/experiments/$experiment/runs/$run" params={{ experiment: run.experiment, run: id }}>{run.name}</Link> : <code className="id">{id.slice(0, 8)}</code>}
        {run?.user && <>, run by {run.user}</>}
        {run && <> <Ago at={run.started_ms} /></>}
      </dd>
    </div>
  );
}
