// Every page and its address.
import { createRootRoute, createRoute, createRouter, Link, redirect } from "@tanstack/react-router";
import { Gate } from "./app/Gate";
import { ErrorNote } from "./components/Notice";
import { PageHead } from "./components/PageHead";
import { parseSearch, stringifySearch } from "./lib/search";
import { CommitPage } from "./pages/data/CommitPage";
import { ComparePage } from "./pages/data/ComparePage";
import { DatasetPage } from "./pages/data/DatasetPage";
import { DatasetsPage } from "./pages/data/DatasetsPage";
import { VersionPage } from "./pages/data/VersionPage";
import { EndpointPage } from "./pages/endpoints/EndpointPage";
import { EndpointsPage } from "./pages/endpoints/EndpointsPage";
import { CompareRunsPage } from "./pages/experiments/compare/CompareRunsPage";
import { ExperimentPage } from "./pages/experiments/ExperimentPage";
import { ExperimentsPage } from "./pages/experiments/ExperimentsPage";
import { TrackingRunPage } from "./pages/experiments/run/TrackingRunPage";
import { TracePage } from "./pages/experiments/trace/TracePage";
import { ModelPage } from "./pages/models/ModelPage";
import { ModelsPage } from "./pages/models/ModelsPage";
import { OverviewPage } from "./pages/overview/OverviewPage";
import { QueuePage } from "./pages/queue/QueuePage";
import { RunPage } from "./pages/run/RunPage";
import { RunsPage } from "./pages/runs/RunsPage";

function Missing() {
  return (
    <>
      <PageHead title="Nothing here" />
      <p>This address belongs to no page. <Link to="/">Go to the overview</Link>.</p>
    </>
  );
}

const optionalText = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

const optionalNumber = (value: unknown): number | undefined => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : undefined);

function texts<K extends string>(search: Record<string, unknown>, ...names: K[]): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {};
  for (const name of names) {
    const value = optionalText(search[name]);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

export function makeRouter(link: string | undefined) {
  const root = createRootRoute({
    component: () => <Gate link={link} />,
    notFoundComponent: Missing,
    errorComponent: ({ error }) => <div className="gate"><ErrorNote error={error} retry={() => window.location.reload()} /></div>,
  });
  const at = root;
  const tree = root.addChildren([
    createRoute({ getParentRoute: () => at, path: "/", component: OverviewPage }),
    createRoute({
      getParentRoute: () => at,
      path: "/runs",
      component: RunsPage,
      validateSearch: (search: Record<string, unknown>): { state?: string } => ({ state: optionalText(search["state"]) }),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/runs/$id",
      component: RunPage,
      validateSearch: (search: Record<string, unknown>): { step?: string; tab?: string } => ({
        step: optionalText(search["step"]),
        tab: optionalText(search["tab"]),
      }),
    }),
    createRoute({ getParentRoute: () => at, path: "/experiments", component: ExperimentsPage }),
    createRoute({
      getParentRoute: () => at,
      path: "/experiments/$experiment",
      component: ExperimentPage,
      validateSearch: (search: Record<string, unknown>): { q?: string; cols?: string; sort?: string; group?: string; stage?: string; view?: string; tab?: string; tq?: string; tsort?: string } =>
        texts(search, "q", "cols", "sort", "group", "stage", "view", "tab", "tq", "tsort"),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/experiments/$experiment/compare",
      component: CompareRunsPage,
      validateSearch: (search: Record<string, unknown>): { runs?: string; tab?: string; x?: string; y?: string; axes?: string } => texts(search, "runs", "tab", "x", "y", "axes"),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/experiments/$experiment/runs/$run",
      component: TrackingRunPage,
      validateSearch: (search: Record<string, unknown>): { tab?: string; root?: string; artifact?: string; tq?: string; tsort?: string } => texts(search, "tab", "root", "artifact", "tq", "tsort"),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/experiments/$experiment/traces",
      beforeLoad: ({ params }) => { throw redirect({ to: "/experiments/$experiment", params, search: { tab: "traces" }, replace: true }); },
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/experiments/$experiment/traces/$trace",
      component: TracePage,
      validateSearch: (search: Record<string, unknown>): { span?: string; tab?: string } => texts(search, "span", "tab"),
    }),
    createRoute({ getParentRoute: () => at, path: "/models", component: ModelsPage }),
    createRoute({
      getParentRoute: () => at,
      path: "/models/$name",
      component: ModelPage,
      validateSearch: (search: Record<string, unknown>): { version?: number } => ({ version: optionalNumber(search["version"]) }),
    }),
    createRoute({ getParentRoute: () => at, path: "/data", component: DatasetsPage }),
    createRoute({
      getParentRoute: () => at,
      path: "/data/datasets/$name",
      component: DatasetPage,
      validateSearch: (search: Record<string, unknown>): { ref?: string; tab?: string; path?: string; file?: string } => texts(search, "ref", "tab", "path", "file"),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/data/datasets/$name/compare",
      component: ComparePage,
      validateSearch: (search: Record<string, unknown>): { from?: string; to?: string; file?: string } => texts(search, "from", "to", "file"),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/data/datasets/$name/commits/$commit",
      component: CommitPage,
      validateSearch: (search: Record<string, unknown>): { parent?: number; file?: string } => ({ parent: optionalNumber(search["parent"]), ...texts(search, "file") }),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/data/versions/$version",
      component: VersionPage,
      validateSearch: (search: Record<string, unknown>): { path?: string; file?: string } => texts(search, "path", "file"),
    }),
    // Where a dataset's page was before it had pages below it.
    createRoute({
      getParentRoute: () => at,
      path: "/data/$name",
      beforeLoad: ({ params }) => { throw redirect({ to: "/data/datasets/$name", params, replace: true }); },
    }),
    createRoute({ getParentRoute: () => at, path: "/endpoints", component: EndpointsPage }),
    createRoute({
      getParentRoute: () => at,
      path: "/endpoints/$name",
      component: EndpointPage,
      validateSearch: (search: Record<string, unknown>): { tab?: string; outcome?: string } => texts(search, "tab", "outcome"),
    }),
    createRoute({
      getParentRoute: () => at,
      path: "/queue",
      component: QueuePage,
      validateSearch: (search: Record<string, unknown>): { tab?: string } => texts(search, "tab"),
    }),
  ]);
  return createRouter({ routeTree: tree, parseSearch, stringifySearch });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
