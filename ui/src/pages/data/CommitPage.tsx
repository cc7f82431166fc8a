// One commit: who, when, why, and what it changed.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { data, type Commit } from "../../api/data";
import { Copy } from "../../components/Command";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { Ago } from "../../components/Time";
import { bytes, plural, shortId } from "../../lib/format";
import { Changes } from "./Changes";
import { headline, isMerge, restOf } from "./words";

const ROUTE = "/data/datasets/$name/commits/$commit";

export function CommitPage() {
  const { name, commit: id } = useParams({ from: ROUTE });
  const query = useQuery({ queryKey: ["commit", name, id], queryFn: () => data.log(name, id, 1).then((page) => page.items[0] ?? null), staleTime: Infinity });
  const over = <><Link {...CRUMB} to="/data">Data</Link> <span aria-hidden="true">/</span> <Link {...CRUMB} to="/data/datasets/$name" params={{ name }}>{name}</Link></>;
  const title = `Commit ${shortId(id)}`;
  if (query.isPending) return <><PageHead title={title} over={over} /><Skeleton lines={6} /></>;
  if (query.isError) return <><PageHead title={title} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/data", label: "All data" }} /></>;
  const commit = query.data;
  if (commit === null) return <><PageHead title={title} over={over} /><Empty title="There is no such commit" /></>;
  return (
    <>
      <PageHead
        title={headline(commit.message) || title}
        over={over}
        facts={<Facts commit={commit} />}
        actions={<Link className="button" to="/data/datasets/$name" params={{ name }} search={{ ref: commit.commit }}><Icon name="folder" />Browse the files</Link>}
      />
      {restOf(commit.message) !== "" && <p className="message" dir="auto">{restOf(commit.message)}</p>}
      <Changed dataset={name} commit={commit} />
    </>
  );
}

function Facts({ commit }: { commit: Commit }) {
  return (
    <>
      {isMerge(commit) && <span className="chip chip-brass"><Icon name="merge" />merge</span>}
      <span>by <bdi>{commit.author}</bdi></span>
      <Ago at={commit.created_ms} />
      <span>{plural(commit.files, "file")}</span>
      <span>{bytes(commit.size_bytes)}</span>
      <span><code className="id" title={commit.commit}>{shortId(commit.commit)}</code> <Copy text={commit.commit} label="Copy the commit's id" /></span>
      <span>version <Link to="/data/versions/$version" params={{ version: commit.version }} className="id" title={commit.version}>{shortId(commit.version)}</Link></span>
    </>
  );
}

function Changed({ dataset, commit }: { dataset: string; commit: Commit }) {
  const { parent: picked, file } = useSearch({ from: ROUTE });
  const at = Math.min(commit.parents.length, picked ?? 1) - 1;
  const parent = commit.parents[at];
  if (parent === undefined) {
    return <Panel title="Changes"><Empty title="This is the first commit">Nothing came before it: all of its {plural(commit.files, "file")} are new.</Empty></Panel>;
  }
  return (
    <Panel title="Changes" aside={<Parents dataset={dataset} commit={commit} at={at} />}>
      <Changes key={parent} from={parent} to={commit.commit} file={file} />
    </Panel>
  );
}

/** What it came after; of a merge, each parent is something else to compare with. */
function Parents({ dataset, commit, at }: { dataset: string; commit: Commit; at: number }) {
  return (
    <span>
      since {commit.parents.map((parent, index) => (
        <span key={parent}>
          {index > 0 && " or "}
          <Link to="/data/datasets/$name/commits/$commit" params={{ name: dataset, commit: parent }} className="id" title={parent}>{shortId(parent)}</Link>
          {commit.parents.length > 1 && (index === at
            ? <span className="faint"> (shown)</span>
            : <> (<Link to={ROUTE} params={{ name: dataset, commit: commit.commit }} search={{ parent: index + 1 }} resetScroll={false}>compare</Link>)</>)}
        </span>
      ))}
    </span>
  );
}
