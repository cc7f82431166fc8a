import { useQuery } from "@tanstack/react-query";
import { data } from "../../api/data";
import { Bar } from "../../components/Bar";
import { Panel } from "../../components/Panel";
import { bytes, count, plural } from "../../lib/format";
import { storageNotes, storageWords } from "./words";

/** What all versions take on disk, and what storing once and compressing saved. Absent where the server does not tell. */
export function StoragePanel() {
  const query = useQuery({ queryKey: ["data-storage"], queryFn: () => data.storage().then((storage) => storage ?? null), refetchInterval: 30_000 });
  const storage = query.data;
  // The list below is what people came for: it is not pushed down by an error of this.
  if (!storage || (storage.versions_bytes === 0 && storageNotes(storage).length === 0)) return null;
  const { ratio, sentence } = storageWords(storage);
  const most = Math.max(storage.versions_bytes, storage.unique_bytes, storage.stored_bytes);
  return (
    <Panel title="Storage" aside={<span className="faint number">{plural(storage.packs, "pack")}, {count(storage.pieces)} pieces</span>}>
      <div className="storage">
        <p className="storage-ratio"><span className="tile-value">{ratio}</span> <span className="tile-under">{ratio === "–" ? "nothing saved yet" : "smaller than copies"}</span></p>
        <div className="bars">
          <Bar label="All versions" used={storage.versions_bytes} total={most} text={bytes(storage.versions_bytes)} />
          <Bar label="Unique" used={storage.unique_bytes} total={most} text={bytes(storage.unique_bytes)} />
          <Bar label="On disk" used={storage.stored_bytes} total={most} text={bytes(storage.stored_bytes)} />
        </div>
      </div>
      <p className="soft">{sentence}</p>
      {storageNotes(storage).map((note) => <p className="soft" key={note}>{note}</p>)}
    </Panel>
  );
}
