// Which page tells about a node of the lineage.

interface Target {
  to: string;
  params: Record<string, string>;
  search?: Record<string, unknown>;
}

/** The page of a node: ids are `kind:name`, a model's name carries its version after a slash. */
export function pageOf(id: string): Target | undefined {
  const colon = id.indexOf(":");
  const kind = id.slice(0, colon);
  const name = id.slice(colon + 1);
  if (kind === "version") return { to: "/data/versions/$version", params: { version: name } };
  if (kind === "run") return { to: "/runs/$id", params: { id: name } };
  if (kind === "model") {
    const [model = name, version = ""] = name.split("/");
    return { to: "/models/$name", params: { name: model }, ...(/^\d+$/.test(version) && { search: { version: Number(version) } }) };
  }
  if (kind === "endpoint") return { to: "/endpoints/$name", params: { name } };
  return undefined;
}
