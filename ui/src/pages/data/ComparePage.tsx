// Two refs of a dataset: what differs, and bringing one into the other.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { data, type Dataset } from "../../api/data";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { useMayWriteData } from "../../lib/may";
import { Changes } from "./Changes";
import { MergeButton } from "./MergeButton";
import { RefPicker } from "./RefPicker";
import { refLabel } from "./refs";

const ROUTE = "/data/datasets/$name/compare";

export function ComparePage() {
  const { name } = useParams({ from: ROUTE });
  const query = useQuery({ queryKey: ["dataset", name], queryFn: () => data.dataset(name), refetchInterval: 10_000 });
  const over = <><Link {...CRUMB} to="/data">Data</Link> <span aria-hidden="true">/</span> <Link {...CRUMB} to="/data/datasets/$name" params={{ name }}>{name}</Link></>;
  return (
    <>
      <PageHead title={`Compare ${name}`} over={over} />
      {query.data ? <Loaded dataset={query.data} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/data", label: "All data" }} />
      ) : <Skeleton lines={6} />}
    </>
  );
}

function Loaded({ dataset }: { dataset: Dataset }) {
  const search = useSearch({ from: ROUTE });
  const navigate = useNavigate({ from: ROUTE });
  const may = useMayWriteData();
  const from = search.from ?? dataset.default_branch;
  // What somebody most likely wants to see next to the default branch: the branch that moved last.
  const newest = [...dataset.branches].filter((ref) => ref.name !== from).sort((a, b) => b.updated_ms - a.updated_ms)[0]?.name;
  const to = search.to ?? newest ?? from;
  const go = (next: { from: string; to: string }): void => void navigate({ search: next, resetScroll: false });
  const target = dataset.branches.find((ref) => ref.name === from);
  return (
    <>
      <div className="toolbar ref-bar" role="group" aria-label="What is compared">
        <span className="field">Before <RefPicker dataset={dataset} value={from} label="Before" onPick={(ref) => go({ from: ref, to })} /></span>
        <button type="button" className="button-icon" aria-label="Swap both sides" title="Swap both sides" onClick={() => go({ from: to, to: from })}><Icon name="swap" /></button>
        <span className="field">After <RefPicker dataset={dataset} value={to} label="After" onPick={(ref) => go({ from, to: ref })} /></span>
        {may && target && from !== to && <MergeButton dataset={dataset.name} from={to} into={target} />}
      </div>
      <Panel title={from === to ? "Changes" : `From ${refLabel(from)} to ${refLabel(to)}`} className="step-panel">
        {from === to ? (
          <Empty title="Choose two to compare">Both sides are {refLabel(from)}. A branch, a tag or a commit of another time shows what differs.</Empty>
        ) : (
          <Between dataset={dataset.name} from={from} to={to} file={search.file} />
        )}
      </Panel>
    </>
  );
}

/** Branches move while they are looked at: what they mean is asked for again, and compared by id. */
function Between({ dataset, from, to, file }: { dataset: string; from: string; to: string; file: string | undefined }) {
  const older = useQuery({ queryKey: ["resolve", dataset, from], queryFn: () => data.resolve(dataset, from), refetchInterval: 5000 });
  const newer = useQuery({ queryKey: ["resolve", dataset, to], queryFn: () => data.resolve(dataset, to), refetchInterval: 5000 });
  const failed = [older, newer].find((query) => query.data === undefined && query.isError);
  if (failed) return <ErrorNote error={failed.error} retry={() => void failed.refetch()} />;
  if (!older.data || !newer.data) return <Skeleton lines={8} />;
  return <Changes key={`${older.data.version} ${newer.data.version}`} from={older.data.version} to={newer.data.version} file={file} />;
}
