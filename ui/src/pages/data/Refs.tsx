// The branches and tags of a dataset: where they point, and for who may write, making and deleting them.
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { data, type Dataset, type Ref } from "../../api/data";
import { Confirm } from "../../components/Confirm";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { shortId } from "../../lib/format";
import { useMayWriteData } from "../../lib/may";
import { NewRef } from "./NewRef";

export function Refs({ dataset, at }: { dataset: Dataset; at: string }) {
  const may = useMayWriteData();
  return (
    <>
      {may && <NewRef dataset={dataset} at={at} />}
      <h3>Branches</h3>
      <List dataset={dataset} kind="branch" may={may} />
      <h3>Tags</h3>
      <List dataset={dataset} kind="tag" may={may} />
    </>
  );
}

function List({ dataset, kind, may }: { dataset: Dataset; kind: Ref["kind"]; may: boolean }) {
  const query = useInfiniteQuery({
    queryKey: ["refs", dataset.name, kind],
    queryFn: ({ pageParam }) => data.refs(dataset.name, kind, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    refetchInterval: 10_000,
  });
  if (query.isPending) return <Skeleton lines={3} />;
  const refs = query.data?.pages.flatMap((page) => page.items) ?? [];
  if (query.isError && refs.length === 0) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  if (refs.length === 0) return <Empty title={`No ${kind} yet`} command={`corliss data ${kind} ${dataset.name} NAME`}>{kind === "tag" ? "A tag keeps a name for a version that is to be found again." : undefined}</Empty>;
  return (
    <>
      <Table<Ref>
        label={kind === "branch" ? "Branches" : "Tags"}
        rows={refs}
        rowKey={(ref) => ref.name}
        columns={[
          { head: kind === "branch" ? "Branch" : "Tag", wide: true, cell: (ref) => <Name dataset={dataset} one={ref} /> },
          { head: "Commit", cell: (ref) => <Link to="/data/datasets/$name/commits/$commit" params={{ name: dataset.name, commit: ref.commit }} className="id" title={ref.commit}>{shortId(ref.commit)}</Link> },
          { head: kind === "branch" ? "Moved" : "Made", cell: (ref) => <Ago at={ref.updated_ms} /> },
          { head: "Differs", cell: (ref) => (ref.name === dataset.default_branch ? <span className="faint">–</span> : <Link to="/data/datasets/$name/compare" params={{ name: dataset.name }} search={{ from: dataset.default_branch, to: ref.name }}>Compare</Link>) },
          ...(may ? [{ head: "Change", cell: (ref: Ref) => <Actions dataset={dataset} one={ref} /> }] : []),
        ]}
      />
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more</button>
      )}
    </>
  );
}

function Name({ dataset, one }: { dataset: Dataset; one: Ref }) {
  const isDefault = one.kind === "branch" && one.name === dataset.default_branch;
  return (
    <>
      <Link to="/data/datasets/$name" params={{ name: dataset.name }} search={{ ref: isDefault ? undefined : one.name }} className="row-link entry">
        <Icon name={one.kind} className="faint" /><b className="file-name">{one.name}</b>
      </Link>
      {isDefault && <> <span className="chip">default</span></>}
      {one.protected && <> <span className="chip chip-wait" title="Only merges move it"><Icon name="lock" />protected</span></>}
    </>
  );
}

function Actions({ dataset, one }: { dataset: Dataset; one: Ref }) {
  const client = useQueryClient();
  const changed = async (change: Promise<unknown>): Promise<void> => {
    await change;
    await Promise.all([client.invalidateQueries({ queryKey: ["refs", dataset.name] }), client.invalidateQueries({ queryKey: ["dataset", dataset.name] })]);
  };
  const branch = one.kind === "branch";
  return (
    <span className="row-actions">
      {branch && (
        <Confirm
          label={one.protected ? "Unprotect" : "Protect"}
          title={one.protected ? `Unprotect ${one.name}?` : `Protect ${one.name}?`}
          confirm={one.protected ? "Unprotect it" : "Protect it"}
          action={() => changed(data.protect(dataset.name, one.name, !one.protected))}
        >
          <p>{one.protected ? "Everybody who may write data can commit to it and move it again." : "Only merges move it then: commits and moves are refused until somebody unprotects it."}</p>
        </Confirm>
      )}
      {!(branch && one.name === dataset.default_branch) && (
        <Confirm label="Delete" title={`Delete the ${one.kind} ${one.name}?`} confirm="Delete it" danger disabled={one.protected} action={() => changed(data.deleteRef(dataset.name, one))}>
          <p>
            It points to <code className="whole">{shortId(one.commit)}</code>. Versions that runs, models, branches or tags still need are kept; what only this {one.kind} led to may be
            removed when storage is cleaned up.
          </p>
        </Confirm>
      )}
    </span>
  );
}
