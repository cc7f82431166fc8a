import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { endpoints } from "../../api/endpoints";
import { Id } from "../../components/Command";
import { shortId } from "../../lib/format";

interface Work {
  name: string;
  id: string;
  run: string | null | undefined;
  step?: string | null;
}

/** A job by name, leading to the step or the endpoint that it works for. */
export function JobName({ name, id, run, step }: Work) {
  // A replica's job does not name its endpoint; the endpoint names its replicas' jobs.
  const serving = useQuery({ queryKey: ["endpoints"], queryFn: endpoints.list, refetchInterval: 5000, enabled: !run });
  const endpoint = run ? undefined : serving.data?.items.find((one) => one.replicas.some((replica) => replica.job_id === id));
  const title = <b>{name}</b>;
  return (
    <>
      {run ? <Link to="/runs/$id" params={{ id: run }} search={step ? { step } : {}} className="row-link">{title}</Link>
        : endpoint ? <Link to="/endpoints/$name" params={{ name: endpoint.name }} className="row-link">{title}</Link>
        : title} <Id id={id} short={shortId(id)} />
    </>
  );
}
