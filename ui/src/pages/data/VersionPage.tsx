import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { data } from "../../api/data";
import { Copy } from "../../components/Command";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { bytes, plural, shortId } from "../../lib/format";
import { FileBrowser } from "./FileBrowser";

/** A version by itself: also what no dataset names, such as the code of a run and what its steps made. */
export function VersionPage() {
  const { version } = useParams({ from: "/data/versions/$version" });
  const { path, file } = useSearch({ from: "/data/versions/$version" });
  // A version never changes; which datasets have it may.
  const query = useQuery({ queryKey: ["version", version], queryFn: () => data.version(version), staleTime: 60_000 });
  const found = query.data;
  const over = (
    <>
      <Link {...CRUMB} to="/data">Data</Link>
      {found?.names.slice(0, 3).map((name) => <span key={name}><span aria-hidden="true">/</span> <Link {...CRUMB} to="/data/datasets/$name" params={{ name }}>{name}</Link></span>)}
    </>
  );
  return (
    <>
      <PageHead
        title={`Version ${shortId(version)}`}
        over={over}
        facts={<>{found && <><span>{plural(found.files, "file")}</span><span>{bytes(found.size_bytes)}</span></>}<span><code className="id whole">{version}</code> <Copy text={version} label="Copy the version's id" /></span></>}
      />
      {query.isPending ? <Skeleton lines={8} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/data", label: "All data" }} />
      ) : (
        <>
          <Panel title="Files"><FileBrowser version={version} root={shortId(version)} path={path ?? ""} file={file} /></Panel>
          <Panel title="Lineage"><LineageGraph node={`version:${version}`} /></Panel>
        </>
      )}
    </>
  );
}
