// What the registry keeps, in words: files, protection, the log, signatures.
import type { FileCounts, ModelEvent, Protection } from "../../api/models";
import { plural } from "../../lib/format";

/** The worst that was found in a version's files, as a state and how many; nothing where no file has a known format. */
export function worst(counts: FileCounts | undefined): { state: string; words: string } | undefined {
  if (counts === undefined) return undefined;
  if (counts.damaged > 0) return { state: "damaged", words: `${plural(counts.damaged, "file")} damaged` };
  if (counts.unsafe > 0) return { state: "unsafe", words: `${plural(counts.unsafe, "pickle")}: loading runs code` };
  if (counts.verified > 0) return { state: "verified", words: `${plural(counts.verified, "file")} verified` };
  return undefined;
}

export function demands(protection: Protection): string {
  const what = protection.aliases.length === 0 ? "any alias" : `the alias ${protection.aliases.join(", ")}`;
  const whose = protection.self_approval ? "also by whoever registered it" : "not by whoever registered it";
  return `A version needs ${plural(protection.approvals, "approval")}, ${whose}, before it is served or gets ${what}.`;
}

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** One line of the log: what was done, to what. */
export function told({ action, version, details }: ModelEvent): string {
  const of = version === undefined ? "" : ` version ${version}`;
  const [alias, key, from, to, reason] = ["alias", "key", "from", "to", "reason"].map((name) => text(details[name]));
  const why = reason === "" ? "" : `: ${reason}`;
  switch (action) {
    case "created": return "created the model";
    case "registered": return `registered${of}`;
    case "moved_in": return version === undefined ? `moved the model in from ${from}` : `moved${of} in from ${from}`;
    case "alias_set": return from === "" ? `pointed ${alias} to version ${to}` : from === to ? `pointed ${alias} to version ${to} again` : `moved ${alias} from version ${from} to ${to}`;
    case "alias_deleted": return `removed the alias ${alias}${version === undefined ? "" : ` from version ${version}`}`;
    case "staged": return `moved${of} from stage ${from} to ${to}`;
    case "tag_set": return `set the tag ${key}${version === undefined ? "" : ` of version ${version}`} to ${text(details.value)}`;
    case "tag_deleted": return `removed the tag ${key}${version === undefined ? "" : ` of version ${version}`}`;
    case "described": return `described ${version === undefined ? "the model" : `version ${version}`}`;
    case "renamed": return `renamed the model from ${from} to ${to}`;
    case "deleted": return "deleted the model";
    case "version_deleted": return `deleted${of}`;
    case "checked": return `looked at the files of${of}`;
    case "protected": return `demanded ${plural(Number(details.approvals), "approval")}`;
    case "unprotected": return "ended the protection";
    case "approved": return `approved${of}${why}`;
    case "rejected": return `rejected${of}${why}`;
    case "deployed": return `deployed${of} to ${text(details.endpoint)} (${text(details.reference)})${details.allow_pickle === true ? ", with pickles allowed" : ""}`;
    default: return `${action.replaceAll("_", " ")}${of}`;
  }
}

export interface Part {
  name: string;
  type: string;
}

/** The columns or tensors of a signature; nothing if it is not one that is known. */
export function parts(json: string | undefined): Part[] | undefined {
  if (json === undefined) return undefined;
  let read: unknown;
  try {
    read = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!Array.isArray(read)) return undefined;
  return read.map((one: unknown, at): Part => {
    const part = (typeof one === "object" && one !== null ? one : {}) as Record<string, unknown>;
    const tensor = (typeof part["tensor-spec"] === "object" && part["tensor-spec"] !== null ? part["tensor-spec"] : {}) as Record<string, unknown>;
    const shape = Array.isArray(tensor.shape) ? ` (${tensor.shape.map((side) => (side === -1 ? "any" : String(side))).join(" × ")})` : "";
    const optional = part.required === false ? ", optional" : "";
    return { name: text(part.name) || (read.length === 1 ? "(all)" : `#${at + 1}`), type: `${text(tensor.dtype) || text(part.type) || "unknown"}${shape}${optional}` };
  });
}
