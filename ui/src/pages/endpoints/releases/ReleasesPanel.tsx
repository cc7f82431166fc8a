// How versions get out: the release that goes on with both versions side by side, what is said about it, and those before.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { EndpointView } from "../../../api/endpoints";
import { sentence } from "../../../api/errors";
import { releases, type Release, type Word } from "../../../api/releases";
import { Announce } from "../../../components/Announce";
import { Id } from "../../../components/Command";
import { Confirm } from "../../../components/Confirm";
import { Empty, ErrorNote, Skeleton } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { State } from "../../../components/State";
import { Ago } from "../../../components/Time";
import { shortId } from "../../../lib/format";
import { useMayServe } from "../../../lib/may";
import { POLL_MS } from "../live/stats";
import { Compared, Steps } from "./Compared";
import { announced, fromTo, isActive, next, objectives, strategy } from "./words";

export function ReleasesPanel({ endpoint }: { endpoint: EndpointView }) {
  const { name } = endpoint;
  const query = useQuery({ queryKey: ["endpoint-releases", name], queryFn: ({ signal }) => releases.list(name, signal), refetchInterval: POLL_MS });
  if (query.isPending) return <Panel title="Releases"><Skeleton lines={6} /></Panel>;
  if (query.data === undefined) return <Panel title="Releases"><ErrorNote error={query.error} retry={() => void query.refetch()} /></Panel>;
  const all = query.data.items;
  const active = all.find(isActive);
  const ended = all.filter((one) => !isActive(one));
  return (
    <>
      <Announce text={all[0] ? announced(all[0]) : ""} />
      {active && <Active release={active} name={name} />}
      {all.length === 0 ? (
        <Panel title="Releases">
          <Empty title="No version was released by steps yet" command={`corliss endpoints deploy ${name} --model ${endpoint.model} --release canary --steps 5,25,50`}>
            New versions take the place of old ones replica by replica. A release lets one out to a share of the requests first, and takes it back by itself if it answers worse.
          </Empty>
        </Panel>
      ) : (
        <Panel title="Earlier releases">
          {ended.length === 0 ? <Empty title="This is the first one" /> : <ul className="releases">{ended.map((one) => <Ended key={one.id} release={one} />)}</ul>}
        </Panel>
      )}
    </>
  );
}

function Active({ release, name }: { release: Release; name: string }) {
  const paused = release.state === "paused";
  return (
    <Panel title={fromTo(release, "Version")} aside={<span className="faint">{strategy(release.plan)}, by {release.started_by === null ? "its alias" : <bdi>{release.started_by}</bdi>}</span>}>
      <p className="release-now"><State state={release.state} /> <span>step {release.step + 1} of {release.steps_total}</span> <span className="soft">{next(release, Date.now())}</span></p>
      {release.reason && <p className="soft">{sentence(release.reason)}</p>}
      <Compared release={release} />
      <Actions release={release} name={name} paused={paused} />
      <Steps release={release} />
      <ul className="sentences">{objectives(release.plan).map((one) => <li key={one}>{one}</li>)}</ul>
    </Panel>
  );
}

function Actions({ release, name, paused }: { release: Release; name: string; paused: boolean }) {
  const client = useQueryClient();
  if (!useMayServe()) return <p className="soft">Those who may deploy endpoints may promote it or roll it back: ml-engineers and platform-admins.</p>;
  const tell = (word: Word) => async (): Promise<void> => {
    await releases.tell(name, release.id, word);
    await Promise.all([["endpoint-releases", name], ["endpoint", name]].map((queryKey) => client.invalidateQueries({ queryKey })));
  };
  const { from_version: from, to_version: to } = release;
  return (
    <div className="toolbar release-actions">
      <Confirm label="Promote" title={`Promote version ${to} now?`} confirm="Promote it" action={tell("promote")}>
        <p>Version {to} takes the place of version {from}, replica by replica, without the steps that are left.</p>
      </Confirm>
      {paused ? (
        <Confirm label="Resume" title="Let it go on?" confirm="Resume it" action={tell("resume")}><p>It goes on from step {release.step + 1}.</p></Confirm>
      ) : (
        <Confirm label="Pause" title="Keep it where it is?" confirm="Pause it" action={tell("pause")}><p>Version {to} keeps what it gets. If it breaches an objective it is rolled back still.</p></Confirm>
      )}
      <Confirm label="Roll back" title={`Roll version ${to} back?`} confirm="Roll it back" danger action={tell("rollback")}>
        <p>All requests go to version {from} at once, and the replicas of version {to} end. It is not tried again until somebody deploys it.</p>
      </Confirm>
    </div>
  );
}

function Ended({ release }: { release: Release }) {
  return (
    <li>
      <p className="release-head">
        <State state={release.state} /> <span>{fromTo(release)}</span> <span className="faint">{strategy(release.plan)}</span> <Id id={release.id} short={shortId(release.id)} /> <Ago at={release.ended_ms} />
      </p>
      {release.reason && <p className="soft">{sentence(release.reason)}</p>}
      {release.steps.length > 0 && <details className="fold"><summary>What was seen</summary><Steps release={release} /></details>}
    </li>
  );
}
