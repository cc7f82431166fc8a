// What the machine has and what is taken, as gauges.
import { sentence } from "../api/errors";
import type { Inventory } from "../api/system";
import { bytes, cpus } from "../lib/format";
import { Bar } from "./Bar";

export function InventoryBars({ inventory }: { inventory: Inventory }) {
  const { total, free } = inventory;
  const cpu = total.cpu_milli - free.cpu_milli;
  const memory = total.memory_bytes - free.memory_bytes;
  const accelerators = total.accelerators - free.accelerators;
  return (
    <div className="bars">
      <Bar label="CPU" used={cpu} total={total.cpu_milli} text={`${cpus(cpu)} of ${cpus(total.cpu_milli)}`} />
      <Bar label="Memory" used={memory} total={total.memory_bytes} text={`${bytes(memory)} of ${bytes(total.memory_bytes)}`} />
      {total.accelerators > 0 ? (
        <Bar label="Accelerators" used={accelerators} total={total.accelerators} text={`${accelerators} of ${total.accelerators}`} />
      ) : (
        <p className="faint">No accelerator on this machine.</p>
      )}
      {(inventory.accelerators ?? []).map((one) => (
        <p key={one.uuid} className="faint" title={one.uuid}>{one.index}: {one.model}, {bytes(one.memory_bytes)}</p>
      ))}
      {(inventory.notes ?? []).map((note) => <p key={note} className="soft">{sentence(note)}</p>)}
      {inventory.source === "declared" && <p className="faint">In part declared in the configuration, not found on this machine.</p>}
    </div>
  );
}
