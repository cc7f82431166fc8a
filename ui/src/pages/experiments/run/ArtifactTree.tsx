// Folders and files by the ARIA pattern for trees: one tab stop, arrow keys walk, open and close. A folder is listed when
// it is opened.
import { useQuery } from "@tanstack/react-query";
import { useRef, useState, type KeyboardEvent } from "react";
import { artifacts, type Artifact, type ArtifactRoot } from "../../../api/artifacts";
import { asApiError, sentence } from "../../../api/errors";
import { FileName } from "../../../components/FileName";
import { Icon } from "../../../components/Icon";
import { bytes, count } from "../../../lib/format";
import { nameOf } from "../../../lib/names";

/** More names in one folder than a tree is good for. */
const SHOWN_MAX = 500;

export interface TreeRoot {
  /** Empty for the run itself, whose files need no folder around them. */
  name: string;
  root: ArtifactRoot;
  open: boolean;
}

interface Props {
  roots: TreeRoot[];
  live: boolean;
  chosen: { root: string; path: string } | undefined;
  onPick: (root: ArtifactRoot, path: string) => void;
}

export function ArtifactTree({ roots, live, chosen, onPick }: Props) {
  const tree = useRef<HTMLUListElement>(null);
  const press = (event: KeyboardEvent): void => {
    const items = [...(tree.current?.querySelectorAll<HTMLElement>('[role="treeitem"]') ?? [])];
    const item = (event.target as HTMLElement).closest<HTMLElement>('[role="treeitem"]');
    const at = item ? items.indexOf(item) : -1;
    const state = item?.getAttribute("aria-expanded");
    if (!item) return;
    const focus = (to: number): void => items[Math.max(0, Math.min(items.length - 1, to))]?.focus();
    if (event.key === "ArrowDown") focus(at + 1);
    else if (event.key === "ArrowUp") focus(at - 1);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(items.length - 1);
    else if (event.key === "ArrowRight" && state === "true") focus(at + 1);
    else if (event.key === "ArrowLeft" && state !== "true") item.parentElement?.closest<HTMLElement>('[role="treeitem"]')?.focus();
    else if ((event.key === "ArrowRight" && state === "false") || (event.key === "ArrowLeft" && state === "true") || event.key === "Enter" || event.key === " ") item.querySelector<HTMLElement>(".tree-line")?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <ul className="tree" role="tree" aria-label="Artifacts" ref={tree} onKeyDown={press}>
      {roots.map((one) => (one.name === ""
        ? <Files key={one.root.id} root={one.root} folder="" level={1} live={live} chosen={chosen} onPick={onPick} first />
        : <Folder key={one.root.id} root={one.root} name={one.name} says="Model " path="" level={1} open={one.open} live={false} chosen={chosen} onPick={onPick} />))}
    </ul>
  );
}

interface FilesProps {
  root: ArtifactRoot;
  folder: string;
  level: number;
  live: boolean;
  chosen: Props["chosen"];
  onPick: Props["onPick"];
  /** Its first name is where the tab key comes in. */
  first?: boolean;
}

function Files({ root, folder, level, live, chosen, onPick, first }: FilesProps) {
  const query = useQuery({ queryKey: ["artifacts", root.id, folder], queryFn: () => artifacts.list(root, folder), refetchInterval: live ? 5000 : false, staleTime: 5000 });
  if (query.isPending) return <li role="none" className="tree-note faint">Loading…</li>;
  if (query.isError && query.data === undefined) return <li role="none" className="tree-note tone-bad">{sentence(asApiError(query.error).report.message)} <button type="button" className="link" onClick={() => void query.refetch()}>Try again</button></li>;
  if (query.data.length === 0) return <li role="none" className="tree-note faint">{level === 1 ? "Nothing is stored." : "Empty."}</li>;
  const sorted = [...query.data].sort((a, b) => Number(b.folder) - Number(a.folder) || a.path.localeCompare(b.path, undefined, { numeric: true }));
  return (
    <>
      {sorted.slice(0, SHOWN_MAX).map((item, index) => (item.folder
        ? <Folder key={item.path} root={root} name={nameOf(item.path)} says="Folder " path={item.path} level={level} open={chosen?.root === root.id && chosen.path.startsWith(`${item.path}/`)} live={live} chosen={chosen} onPick={onPick} tab={first === true && index === 0 && chosen === undefined} />
        : <File key={item.path} root={root} item={item} level={level} chosen={chosen?.root === root.id && chosen.path === item.path} tab={first === true && index === 0 && chosen === undefined} onPick={onPick} />))}
      {sorted.length > SHOWN_MAX && <li role="none" className="tree-note faint">{count(sorted.length - SHOWN_MAX)} more are there: list them with the client.</li>}
    </>
  );
}

interface FolderProps extends Omit<FilesProps, "folder" | "first"> {
  name: string;
  says: string;
  path: string;
  open: boolean;
  tab?: boolean;
}

function Folder({ root, name, says, path, level, open: openAtFirst, live, chosen, onPick, tab }: FolderProps) {
  const [open, setOpen] = useState(openAtFirst);
  return (
    <li role="treeitem" aria-expanded={open} aria-level={level} aria-label={`${says}${name}`} tabIndex={tab ? 0 : -1}>
      <div className="tree-line" onClick={(event) => { setOpen(!open); event.currentTarget.parentElement?.focus(); }}>
        <Icon name="right" className={open ? "tree-arrow open" : "tree-arrow"} /><Icon name={says === "Model " ? "models" : "folder"} className="tone-brass" /><FileName name={name} />
      </div>
      {open && <ul role="group"><Files root={root} folder={path} level={level + 1} live={live} chosen={chosen} onPick={onPick} /></ul>}
    </li>
  );
}

interface FileProps {
  root: ArtifactRoot;
  item: Artifact;
  level: number;
  chosen: boolean;
  tab: boolean;
  onPick: Props["onPick"];
}

function File({ root, item, level, chosen, tab, onPick }: FileProps) {
  return (
    <li role="treeitem" aria-level={level} aria-selected={chosen} aria-label={`${nameOf(item.path)}, ${bytes(item.size_bytes)}`} tabIndex={chosen || tab ? 0 : -1}>
      <div className="tree-line" onClick={(event) => { onPick(root, item.path); event.currentTarget.parentElement?.focus(); }}>
        <Icon name="file" className="faint" /><FileName name={nameOf(item.path)} /><span className="faint number tree-size">{bytes(item.size_bytes)}</span>
      </div>
    </li>
  );
}
