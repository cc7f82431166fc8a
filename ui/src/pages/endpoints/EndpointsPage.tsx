import { useQuery } from "@tanstack/react-query";
import { endpoints } from "../../api/endpoints";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { EndpointsTable } from "./EndpointsTable";

export function EndpointsPage() {
  const query = useQuery({ queryKey: ["endpoints"], queryFn: endpoints.list, refetchInterval: 3000 });
  return (
    <>
      <PageHead title="Endpoints" />
      {query.isPending ? <Skeleton lines={6} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : query.data.items.length === 0 ? (
        <Empty title="No endpoint yet" command="corliss endpoints deploy NAME --model MODEL@ALIAS">
          An endpoint serves a model version on as many replicas as it asks for. A project file names it under <code>endpoints:</code>, or deploy one by hand:
        </Empty>
      ) : <EndpointsTable endpoints={query.data.items} />}
    </>
  );
}
