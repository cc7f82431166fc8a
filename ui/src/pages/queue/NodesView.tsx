// What the machine acts as: nodes where they stand, with their accelerators and what runs on them.
import { useQuery } from "@tanstack/react-query";
import { jobs as api } from "../../api/jobs";
import { nodes, type Node, type NodeAccelerator } from "../../api/nodes";
import { Bar } from "../../components/Bar";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { bytes, cpus, plural } from "../../lib/format";
import { JobName } from "./JobName";
import { byPlace, inUse } from "./places";

export function NodesView() {
  const read = useQuery({ queryKey: ["nodes"], queryFn: nodes, refetchInterval: 2000 });
  // A job's run is what its name leads to.
  const queue = useQuery({ queryKey: ["queue"], queryFn: api.queue, refetchInterval: 5000 });
  if (read.isPending) return <Skeleton lines={8} />;
  if (read.isError && !read.data) return <ErrorNote error={read.error} retry={() => void read.refetch()} />;
  const runs = new Map((queue.data?.running ?? []).map((job) => [job.job_id ?? job.id, job]));
  return (
    <>
      {byPlace(read.data.nodes, read.data.settings.levels ?? []).map((place) => (
        <Panel key={place.name} title={place.name || "Nodes"} aside={<span className="number">{place.nodes.length}</span>}>
          <ul className="nodes">{place.nodes.map((node) => (
            <li key={node.name} className={node.drained ? "node drained" : "node"}>
              <h3>{node.name} {node.drained && <span className="node-mark">drained</span>} {node.spot && <span className="node-mark">spot</span>}</h3>
              <Amounts node={node} />
              {node.accelerators.length > 0 && <Accelerators node={node} />}
              {node.jobs.length === 0 ? <p className="faint">{node.drained ? "Nothing runs, and it takes no new work." : "Nothing runs."}</p> : (
                <ul className="node-jobs">{node.jobs.map((job) => (
                  <li key={job.job_id}>
                    <JobName name={job.name} id={job.job_id} run={runs.get(job.job_id)?.run_id} step={runs.get(job.job_id)?.step} />
                    {job.workers > 1 && <span className="faint"> {plural(job.workers, "worker")}</span>}
                  </li>
                ))}</ul>
              )}
            </li>
          ))}</ul>
        </Panel>
      ))}
      {read.data.nodes.length === 1 && read.data.nodes[0]?.name === "local" && (
        <Empty title="The machine is one node" command="corliss admin nodes split 4 --racks 2">It can act as several, to try out gangs over nodes and racks.</Empty>
      )}
    </>
  );
}

function Amounts({ node: { total, free } }: { node: Node }) {
  const cpu = total.cpu_milli - free.cpu_milli;
  const memory = total.memory_bytes - free.memory_bytes;
  return (
    <div className="bars">
      <Bar label="CPU" used={cpu} total={total.cpu_milli} text={`${cpus(cpu)} of ${cpus(total.cpu_milli)}`} />
      <Bar label="Memory" used={memory} total={total.memory_bytes} text={`${bytes(memory)} of ${bytes(total.memory_bytes)}`} />
    </div>
  );
}

function Accelerators({ node }: { node: Node }) {
  const names = new Map(node.jobs.map((job) => [job.job_id, job.name]));
  const told = (one: NodeAccelerator): string => {
    const users = one.jobs.map((id) => names.get(id) ?? id).join(", ");
    return `${one.index}: ${one.model}, ${bytes(one.memory_bytes)}, ${inUse(one.free_milli)}${users ? ` by ${users}` : ""}`;
  };
  return (
    <ul className="accelerators" aria-label={`Accelerators of ${node.name}`}>
      {node.accelerators.map((one) => (
        <li key={one.uuid} title={told(one)} aria-label={told(one)}>
          <i style={{ height: `${Math.min(100, Math.max(0, 100 - one.free_milli / 10))}%` }} />
          <span>{one.index}</span>
        </li>
      ))}
    </ul>
  );
}
