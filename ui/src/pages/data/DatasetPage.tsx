// One dataset at one of its branches, tags or commits: files, history, names, lineage.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { data, type Dataset, type Resolved } from "../../api/data";
import { Announce } from "../../components/Announce";
import { Copy } from "../../components/Command";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { Tabs } from "../../components/Tabs";
import { Ago } from "../../components/Time";
import { bytes, plural, shortId } from "../../lib/format";
import { FileBrowser } from "./FileBrowser";
import { History } from "./History";
import { RefPicker } from "./RefPicker";
import { Refs } from "./Refs";
import { refLabel } from "./refs";

export function DatasetPage() {
  const { name } = useParams({ from: "/data/datasets/$name" });
  const query = useQuery({ queryKey: ["dataset", name], queryFn: () => data.dataset(name), refetchInterval: 10_000 });
  const over = <Link {...CRUMB} to="/data">Data</Link>;
  if (query.isPending) return <><PageHead title={name} over={over} /><Skeleton lines={6} /></>;
  if (query.isError && query.data === undefined) return <><PageHead title={name} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/data", label: "All data" }} /></>;
  return <><PageHead title={name} over={over} facts={<Facts dataset={query.data} />} /><Loaded dataset={query.data} /></>;
}

function Facts({ dataset }: { dataset: Dataset }) {
  return (
    <>
      <span>{plural(dataset.versions, "version")} on {dataset.default_branch}</span>
      <span>{plural(dataset.files, "file")}</span>
      <span>{bytes(dataset.size_bytes)}</span>
      <span>changed <Ago at={dataset.updated_ms} /></span>
      <span>latest <Link to="/data/versions/$version" params={{ version: dataset.latest }} className="id" title={dataset.latest}>{shortId(dataset.latest)}</Link> <Copy text={dataset.latest} label="Copy the latest version's id" /></span>
    </>
  );
}

function Loaded({ dataset }: { dataset: Dataset }) {
  const search = useSearch({ from: "/data/datasets/$name" });
  const navigate = useNavigate({ from: "/data/datasets/$name" });
  const ref = search.ref ?? dataset.default_branch;
  const resolved = useQuery({
    queryKey: ["resolve", dataset.name, ref],
    queryFn: () => data.resolve(dataset.name, ref),
    // A branch moves while it is looked at.
    refetchInterval: 5000,
    placeholderData: keepPreviousData,
  });
  const names = dataset.branches.length + dataset.tags.length;
  const tabs = [
    { id: "files", label: "Files" },
    { id: "history", label: "History" },
    { id: "refs", label: `Branches and tags (${names})` },
    { id: "lineage", label: "Lineage" },
  ];
  const tab = tabs.find((one) => one.id === search.tab)?.id ?? "files";
  const pick = (picked: string): void => void navigate({ search: (before: object) => ({ ...before, ref: picked === dataset.default_branch ? undefined : picked }), resetScroll: false });
  return (
    <>
      <div className="toolbar ref-bar">
        <RefPicker dataset={dataset} value={ref} label="Shown" onPick={pick} />
        <Link className="button" to="/data/datasets/$name/compare" params={{ name: dataset.name }} search={{ from: dataset.default_branch, to: ref === dataset.default_branch ? undefined : ref }}>Compare</Link>
        {resolved.data && <Where dataset={dataset.name} at={resolved.data} />}
      </div>
      <Announce text={`${dataset.name} at ${refLabel(ref)}`} />
      <Panel title={tabs.find((one) => one.id === tab)?.id === "refs" ? "Branches and tags" : `${dataset.name} at ${refLabel(ref)}`} className="step-panel">
        <Tabs label={`Dataset ${dataset.name}`} tabs={tabs} current={tab} onChange={(id) => void navigate({ search: (before: object) => ({ ...before, tab: id === "files" ? undefined : id }), replace: true, resetScroll: false })}>
          {tab === "refs" && <Refs dataset={dataset} at={ref} />}
          {tab === "history" && <History dataset={dataset.name} at={ref} />}
          {(tab === "files" || tab === "lineage") && (
            <Known query={resolved}>
              {(at) => (tab === "lineage" ? <LineageGraph key={at.version} node={`version:${at.version}`} /> : <FileBrowser version={at.version} root={dataset.name} path={search.path ?? ""} file={search.file} />)}
            </Known>
          )}
        </Tabs>
      </Panel>
    </>
  );
}

function Where({ dataset, at }: { dataset: string; at: Resolved }) {
  return (
    <span className="faint">
      {at.commit && <>commit <Link to="/data/datasets/$name/commits/$commit" params={{ name: dataset, commit: at.commit }} className="id" title={at.commit}>{shortId(at.commit)}</Link>, </>}
      version <Link to="/data/versions/$version" params={{ version: at.version }} className="id" title={at.version}>{shortId(at.version)}</Link>
    </span>
  );
}

interface KnownProps {
  query: { data: Resolved | undefined; isError: boolean; error: unknown; refetch: () => Promise<unknown> };
  children: (at: Resolved) => ReactNode;
}

/** What needs the version that a ref means: nothing is shown of another one where the ref means nothing. */
function Known({ query, children }: KnownProps) {
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return query.data ? children(query.data) : <Skeleton lines={6} />;
}
