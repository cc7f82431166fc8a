// One model: its versions newest first, which alias points where, where the chosen version came from.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { models, type Model, type ModelVersion, type Protection } from "../../api/models";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { metric, plural, shortId } from "../../lib/format";
import { useMayPromote } from "../../lib/may";
import { AliasEditor } from "./AliasEditor";
import { Approval } from "./Approval";
import { Files, FilesMark } from "./Files";
import { History } from "./History";
import { LoggedBy } from "./LoggedBy";
import { Promote } from "./Promote";
import { ProtectionPanel } from "./ProtectionPanel";
import { Signature } from "./Signature";
import { TracesOf } from "./TracesOf";

export function ModelPage() {
  const { name } = useParams({ from: "/models/$name" });
  const query = useQuery({ queryKey: ["model", name], queryFn: () => models.get(name), refetchInterval: 5000 });
  const over = <Link {...CRUMB} to="/models">Models</Link>;
  if (query.isPending) return <><PageHead title={name} over={over} /><Skeleton lines={6} /></>;
  if (query.isError) return <><PageHead title={name} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/models", label: "All models" }} /></>;
  return <><PageHead title={name} over={over} facts={<Facts model={query.data} />} /><Loaded model={query.data} /></>;
}

function Facts({ model }: { model: Model }) {
  return (
    <>
      <span>{plural(model.versions.length, "version")}</span>
      {model.protection && <span className="chip chip-wait" title="Versions need approval before they are served"><Icon name="lock" />protected</span>}
      {Object.entries(model.tags ?? {}).map(([key, value]) => <span key={key} className="chip" title="Tag"><bdi>{key}</bdi>: <bdi>{value}</bdi></span>)}
    </>
  );
}

function Loaded({ model }: { model: Model }) {
  const { version: picked } = useSearch({ from: "/models/$name" });
  const versions = [...model.versions].sort((a, b) => b.version - a.version);
  const chosen = versions.find((one) => one.version === picked) ?? versions[0];
  const metricNames = [...new Set(versions.flatMap((one) => Object.keys(one.metrics)))].sort();
  const may = useMayPromote();
  if (versions.length === 0) return <>{model.description && <p className="message">{model.description}</p>}<Empty title="No version yet">A version is registered by a run of a pipeline, or by a client: <code>mlflow.register_model(…)</code></Empty></>;
  return (
    <>
      {model.description && <p className="message">{model.description}</p>}
      <Panel title="Versions">
        <Table<ModelVersion>
          label="Versions"
          rows={versions}
          rowKey={(one) => String(one.version)}
          columns={[
            {
              head: "Version",
              cell: (one) => (
                <Link to="/models/$name" params={{ name: model.name }} search={{ version: one.version }} className="version" aria-current={one === chosen ? "true" : undefined} replace resetScroll={false}>
                  {one.version}
                </Link>
              ),
            },
            { head: "Aliases", wide: true, cell: (one) => aliasesOf(model, one.version).map((alias) => <span key={alias} className="chip chip-brass">{alias}</span>) },
            { head: "Form", cell: (one) => one.flavor },
            { head: "Files", cell: (one) => <FilesMark counts={one.checked} /> },
            ...metricNames.map((name) => ({
              head: name,
              number: true,
              cell: (one: ModelVersion) => (name in one.metrics ? metric(one.metrics[name] ?? Number.NaN) : <span className="faint">–</span>),
            })),
            { head: "Registered", cell: (one) => <Ago at={one.created_ms} /> },
            ...(may ? [{ head: "Promote", cell: (one: ModelVersion) => <Promote model={model} version={one.version} /> }] : []),
          ]}
        />
      </Panel>
      <ProtectionPanel model={model} />
      <AliasEditor model={model} versions={versions.map((one) => one.version)} />
      {chosen && (
        <>
          <Chosen key={`facts ${chosen.version}`} name={model.name} version={chosen.version} protection={model.protection} />
          <Panel title={`Where version ${chosen.version} came from`}><Origin model={model.name} version={chosen} /></Panel>
          <Panel title="Lineage"><LineageGraph key={chosen.version} node={`model:${model.name}/${chosen.version}`} /></Panel>
        </>
      )}
      <History name={model.name} />
    </>
  );
}

/** What is known of the chosen version beyond its row. */
function Chosen({ name, version, protection }: { name: string; version: number; protection: Protection | undefined }) {
  const query = useQuery({ queryKey: ["model", name, "version", version], queryFn: () => models.version(name, version), refetchInterval: 5000 });
  if (query.isPending) return <Skeleton lines={4} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return (
    <>
      <Approval name={name} version={query.data} protection={protection} />
      <Files name={name} version={query.data} />
      <Signature name={name} version={query.data} />
    </>
  );
}

const aliasesOf = (model: Model, version: number): string[] =>
  Object.keys(model.aliases).filter((alias) => model.aliases[alias] === version).sort();

function Origin({ model, version }: { model: string; version: ModelVersion }) {
  return (
    <>
      {version.description && <p className="message">{version.description}</p>}
      <dl className="pairs">
        {version.registered_by && <div><dt>registered by</dt><dd><bdi>{version.registered_by}</bdi></dd></div>}
        {version.tracking_run_id && <LoggedBy id={version.tracking_run_id} />}
        {version.run_id && (
          <div>
            <dt>run</dt>
            <dd>
              <Link to="/runs/$id" params={{ id: version.run_id }} search={version.step ? { step: version.step } : {}} className="id" title={version.run_id}>{shortId(version.run_id)}</Link>
              {version.step && <> step {version.step}</>}
            </dd>
          </div>
        )}
        <VersionPair name="model files" version={version.source_version} />
        <TracesOf model={model} version={version.version} />
        {version.code && <VersionPair name="code" version={version.code} />}
        {version.data.map((one) => <VersionPair key={one.name} name={one.name} version={one.version} />)}
        {Object.entries(version.tags ?? {}).map(([key, value]) => <div key={`tag ${key}`}><dt>tag <bdi>{key}</bdi></dt><dd><bdi>{value}</bdi></dd></div>)}
      </dl>
    </>
  );
}

function VersionPair({ name, version }: { name: string; version: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd><Link to="/data/versions/$version" params={{ version }} className="id" title={version}>{shortId(version)}</Link></dd>
    </div>
  );
}
