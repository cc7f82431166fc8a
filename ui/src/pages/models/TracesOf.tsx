import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { traces } from "../../api/traces";
import { tracking } from "../../api/tracking";
import { ofModel } from "../experiments/traces/filter";

/** The experiment in which the logged model behind a version answered, if it did. */
async function tracedIn(name: string, version: number): Promise<{ experiment: string; filter: string } | null> {
  const id = await tracking.modelOf(name, version);
  if (id === undefined) return null;
  const { experiment } = await tracking.loggedModel(id);
  const filter = ofModel(id);
  return (await traces.search({ experiment, filter }, 1)).items.length > 0 ? { experiment, filter } : null;
}

/** Leads to what a version answered. Nothing where nobody traced it. */
export function TracesOf({ model, version }: { model: string; version: number }) {
  const query = useQuery({ queryKey: ["traced-in", model, version], queryFn: () => tracedIn(model, version), staleTime: 30_000 });
  if (!query.data) return null;
  return (
    <div>
      <dt>traces</dt>
      <dd><Link to="/experiments/$experiment" params={{ experiment: query.data.experiment }} search={{ tab: "traces", tq: query.data.filter }}>what it answered</Link></dd>
    </div>
  );
}
