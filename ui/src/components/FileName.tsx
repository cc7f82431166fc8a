import { visible } from "../lib/names";

/** A name or path that somebody chose: kept apart from the text around it, whatever direction it runs in. */
export function FileName({ name }: { name: string }) {
  return <bdi className="file-name">{visible(name)}</bdi>;
}
