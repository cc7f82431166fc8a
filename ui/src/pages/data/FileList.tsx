// The names in a folder. There may be ten thousand: a page that is shown is not drawn again when the next one comes.
import { memo } from "react";
import { fileAddress, type FolderItem } from "../../api/data";
import type { Page } from "../../api/client";
import { Id } from "../../components/Command";
import { FileName } from "../../components/FileName";
import { Icon } from "../../components/Icon";
import { TableFrame, TableRows } from "../../components/Table";
import { bytes, count } from "../../lib/format";
import { useHere, type Here } from "../../lib/here";
import { joined, nameOf, visible } from "../../lib/names";

const HEADS = [{ head: "Name", wide: true }, { head: "Files", number: true }, { head: "Size", number: true }, { head: "Content" }, { head: "Get" }];

interface Props {
  version: string;
  path: string;
  pages: Page<FolderItem>[];
}

export function FileList({ version, path, pages }: Props) {
  const { href, go } = useHere();
  return (
    <TableFrame label="Files" heads={HEADS}>
      {pages.map((page, index) => <Rows key={index} version={version} path={path} items={page.items} href={href} go={go} />)}
    </TableFrame>
  );
}

interface RowsProps extends Here {
  version: string;
  path: string;
  items: FolderItem[];
}

const Rows = memo(function Rows({ version, path, items, href, go }: RowsProps) {
  return (
    <TableRows<FolderItem>
      rows={items}
      rowKey={(item) => (item.file ? item.name : `${item.name}/`)}
      columns={[
        { head: "Name", wide: true, cell: (item) => <Named path={joined(path, item.name)} item={item} href={href} go={go} /> },
        { head: "Files", cell: (item) => (item.file ? <span className="faint">–</span> : count(item.files)), number: true },
        { head: "Size", cell: (item) => bytes(item.size_bytes), number: true },
        { head: "Content", cell: (item) => item.file && <><Id id={item.file.blob} short={item.file.blob.slice(0, 12)} />{item.file.executable && <> <span className="chip">executable</span></>}{item.file.link && <> <span className="chip" title="Its bytes lie in a source and are not stored here">linked</span></>}</> },
        { head: "Get", cell: (item) => item.file && <Download version={version} path={item.file.path} /> },
      ]}
    />
  );
});

function Named({ path, item, href, go }: Here & { path: string; item: FolderItem }) {
  const folder = item.file === undefined;
  return (
    <a href={href(folder ? { path, file: undefined } : { path: undefined, file: path })} onClick={go} className="row-link entry">
      <Icon name={folder ? "folder" : "file"} className={folder ? "tone-brass" : "faint"} />
      <span className="hidden-text">{folder ? "Folder " : "File "}</span>
      {folder ? <b><FileName name={item.name} /></b> : <FileName name={item.name} />}
    </a>
  );
}

function Download({ version, path }: { version: string; path: string }) {
  return (
    <a className="button-icon" href={fileAddress(version, path)} download={nameOf(path)} aria-label={`Download ${visible(nameOf(path))}`} title="Download">
      <Icon name="download" />
    </a>
  );
}
