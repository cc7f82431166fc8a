// A picture of a dataset. Its bytes are fetched as such and get a type from a fixed list: never one that holds scripts.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { data, type FileEntry } from "../../api/data";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { Picture } from "../../components/Picture";
import { bytes } from "../../lib/format";
import { nameOf } from "../../lib/names";

/** Larger ones are fetched when asked for. */
const AT_ONCE_BYTES = 24 * 1024 * 1024;

interface Props {
  version: string;
  entry: FileEntry;
  type: string;
}

export function ImageView({ version, entry, type }: Props) {
  const [asked, setAsked] = useState(entry.size_bytes <= AT_ONCE_BYTES);
  const query = useQuery({
    queryKey: ["image", entry.blob],
    queryFn: ({ signal }) => data.bytes(version, entry.path, signal),
    staleTime: Infinity,
    // Pictures are large, and the browser keeps no more of them than are looked at.
    gcTime: 10_000,
    enabled: asked,
  });
  if (!asked) return <p><button type="button" className="button" onClick={() => setAsked(true)}>Show the picture ({bytes(entry.size_bytes)})</button></p>;
  if (query.isPending) return <Skeleton lines={6} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return <Picture content={query.data} type={type} name={nameOf(entry.path)} />;
}
