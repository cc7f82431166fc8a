// One endpoint: what it does right now, each request, a playground, how it routes and releases, its replicas and where it came from.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { endpoints, type EndpointView } from "../../api/endpoints";
import { sentence } from "../../api/errors";
import { Announce } from "../../components/Announce";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { ErrorNote, Note, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { Tabs } from "../../components/Tabs";
import { plural } from "../../lib/format";
import { serving } from "./EndpointsTable";
import { LivePanel } from "./live/LivePanel";
import { useLive } from "./live/useLive";
import { Playground } from "./playground/Playground";
import { useChat } from "./playground/useChat";
import { Replicas } from "./Replicas";
import { ReleasesPanel } from "./releases/ReleasesPanel";
import { RequestsPanel } from "./requests/RequestsPanel";
import { RoutingPanel } from "./routing/RoutingPanel";
import { Targets } from "./Targets";

const TABS = [
  { id: "live", label: "Live" },
  { id: "requests", label: "Requests" },
  { id: "playground", label: "Playground" },
  { id: "routing", label: "Routing" },
  { id: "releases", label: "Releases" },
  { id: "lineage", label: "Lineage" },
];

export function EndpointPage() {
  const { name } = useParams({ from: "/endpoints/$name" });
  const query = useQuery({ queryKey: ["endpoint", name], queryFn: () => endpoints.get(name), refetchInterval: 2000 });
  const over = <Link {...CRUMB} to="/endpoints">Endpoints</Link>;
  if (query.isPending) return <><PageHead title={name} over={over} /><Skeleton lines={6} /></>;
  if (query.data === undefined) return <><PageHead title={name} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/endpoints", label: "All endpoints" }} /></>;
  const endpoint = query.data;
  return (
    <>
      <PageHead title={name} over={over} facts={<Facts endpoint={endpoint} />} />
      {!endpoint.service && <Announce text={`Endpoint ${endpoint.state}, ${endpoint.replicas_ready} of ${plural(endpoint.replicas_desired, "replica")} ready`} />}
      {endpoint.reason && <Note bad={endpoint.state === "failed"}>{sentence(endpoint.reason)}</Note>}
      <Shown key={name} endpoint={endpoint} />
    </>
  );
}

function Facts({ endpoint }: { endpoint: EndpointView }) {
  if (endpoint.service) {
    return (
      <>
        <span>{plural(endpoint.service.targets.length, "address", "addresses")} of a service elsewhere</span>
        <span>serves {endpoint.service.model}</span>
        <span>{endpoint.service.has_key ? "shown a key" : "shown no key"}</span>
      </>
    );
  }
  const model = endpoint.model_name ?? endpoint.model.split(/[@/]/)[0] ?? endpoint.model;
  return (
    <>
      <State state={endpoint.state} />
      <span>serves <Link to="/models/$name" params={{ name: model }} search={{ version: Number(endpoint.serving_version ?? endpoint.desired_version) }}>{endpoint.model}</Link></span>
      <span>version {serving(endpoint)}</span>
      <span>{endpoint.replicas_ready} of {plural(endpoint.replicas_desired, "replica")} ready</span>
      <span className="number">{plural(endpoint.requests_total, "request")}</span>
    </>
  );
}

/** Counters and a conversation go on while another tab is looked at. */
function Shown({ endpoint }: { endpoint: EndpointView }) {
  const search = useSearch({ from: "/endpoints/$name" });
  const navigate = useNavigate({ from: "/endpoints/$name" });
  const live = useLive(endpoint.name);
  const chat = useChat(endpoint.name);
  // What a service is made of is its own affair.
  const tabs = endpoint.service ? TABS.filter((one) => one.id !== "lineage" && one.id !== "releases") : TABS;
  const tab = tabs.find((one) => one.id === search.tab)?.id ?? "live";
  return (
    <Tabs label={`Endpoint ${endpoint.name}`} tabs={tabs} current={tab} onChange={(id) => void navigate({ search: { tab: id === "live" ? undefined : id }, replace: true, resetScroll: false })}>
      {tab === "live" && <><LivePanel endpoint={endpoint} live={live} />{endpoint.service ? <Panel title="Addresses"><Targets service={endpoint.service} /></Panel> : <Panel title="Replicas"><Replicas replicas={endpoint.replicas} /></Panel>}</>}
      {tab === "requests" && <RequestsPanel endpoint={endpoint} live={live} outcome={search.outcome} />}
      {tab === "playground" && <Playground endpoint={endpoint} chat={chat} />}
      {tab === "routing" && <RoutingPanel endpoint={endpoint} />}
      {tab === "releases" && <ReleasesPanel endpoint={endpoint} />}
      {tab === "lineage" && <Panel title="Lineage"><LineageGraph node={`endpoint:${endpoint.name}`} direction="up" /></Panel>}
    </Tabs>
  );
}
