// What a run stored, as a tree with a preview beside it; models that it logged are folders of their own.
import { useQuery } from "@tanstack/react-query";
import { isHere, type ArtifactRoot } from "../../../api/artifacts";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { ArtifactTree, type TreeRoot } from "./ArtifactTree";
import { ArtifactView } from "./ArtifactView";

interface Props {
  run: TrackingRun;
  /** A logged model's id, where one of its files is shown. */
  root: string | undefined;
  path: string | undefined;
  onPick: (root: string | undefined, path: string) => void;
}

export function Artifacts({ run, root, path, onPick }: Props) {
  const ids = run.models.map((one) => one.id);
  const models = useQuery({ queryKey: ["logged-models", ids.join()], queryFn: () => tracking.loggedModels(ids), enabled: ids.length > 0 });
  const own: ArtifactRoot = { kind: "run", id: run.id, uri: run.artifact_uri };
  if (ids.length > 0 && models.isPending) return <Skeleton lines={8} />;
  if (!isHere(own)) return <Panel title="Artifacts"><Empty title="These artifacts lie elsewhere">The experiment keeps them at <code>{run.artifact_uri}</code>, which clients reach and this server does not.</Empty></Panel>;
  const roots: TreeRoot[] = [
    { name: "", root: own, open: true },
    ...(models.data ?? []).map((model): TreeRoot => ({ name: model.name, root: { kind: "model", id: model.id, uri: model.artifact_uri }, open: model.id === root })),
  ];
  const at = roots.find((one) => (root === undefined ? one.root.kind === "run" : one.root.id === root))?.root;
  return (
    <Panel title="Artifacts" className="artifacts">
      {models.isError && <ErrorNote error={models.error} retry={() => void models.refetch()} />}
      <div className="artifact-columns">
        <ArtifactTree roots={roots} live={run.state === "running"} chosen={path === undefined || at === undefined ? undefined : { root: at.id, path }} onPick={(picked, file) => onPick(picked.kind === "run" ? undefined : picked.id, file)} />
        <div className="artifact-view">
          {path === undefined || at === undefined ? <Empty title="Choose a file">Pictures, text and tables are shown here. Anything can be downloaded.</Empty> : <ArtifactView key={`${at.id} ${path}`} root={at} path={path} />}
        </div>
      </div>
    </Panel>
  );
}
