// What a model was told and what it answered, as a conversation, from the shapes in which clients write them: OpenAI's chat
// and responses, Anthropic's blocks, OpenTelemetry's parts, LangChain's messages.

export type Part =
  | { kind: "text"; text: string }
  | { kind: "call"; name: string; arguments: unknown; id?: string }
  | { kind: "result"; id?: string; content: unknown }
  /** Something that is named and not shown, such as a picture. */
  | { kind: "other"; name: string; value: unknown };

export interface Message {
  role: string;
  parts: Part[];
}

type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
/** Arguments of a call are most often a JSON text. */
const unpacked = (value: unknown): unknown => {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
};

/** The messages in the inputs or outputs of a span; undefined where they are something else. */
export function messagesOf(value: unknown): Message[] | undefined {
  const found = listed(value)?.map(messageOf);
  return found && found.length > 0 && found.every((one) => one !== undefined) ? found : undefined;
}

/** Looks for a list of messages in the places where clients put one. */
function listed(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value.length === 1 && Array.isArray(value[0]) ? value[0] : value;
  if (!isObject(value)) return undefined;
  const system = text(value["system"]) ?? text(value["instructions"]);
  const first = system === undefined ? [] : [{ role: "system", content: system }];
  const messages = value["messages"];
  if (Array.isArray(messages) && messages.length > 0) return [...first, ...(messages.length === 1 && Array.isArray(messages[0]) ? messages[0] : messages)];
  const choices = value["choices"];
  if (Array.isArray(choices) && choices.length > 0) return choices.map((one) => (isObject(one) ? one["message"] : undefined));
  const generations = value["generations"];
  if (Array.isArray(generations)) return generations.flat().map((one) => (isObject(one) ? one["message"] ?? { role: "assistant", content: one["text"] } : undefined));
  for (const name of ["input", "output"]) {
    const items = value[name];
    if (Array.isArray(items) && items.some((item) => isObject(item) && (isMessage(item) || item["type"] === "function_call"))) return [...first, ...items];
    if (name === "input" && typeof items === "string" && first.length > 0) return [...first, { role: "user", content: items }];
  }
  if (isMessage(value)) return [value];
  return isObject(value["request"]) ? listed(value["request"]) : undefined;
}

const ROLES: Record<string, string> = { human: "user", ai: "assistant", AIMessageChunk: "assistant", developer: "system", function: "tool" };

const roleOf = (message: Fields): string | undefined => {
  const role = text(message["role"]) ?? (message["content"] === undefined ? undefined : text(message["type"]));
  return role === undefined ? undefined : Object.hasOwn(ROLES, role) ? ROLES[role] : role;
};

const KNOWN = new Set(["user", "assistant", "system", "tool", "model"]);

const isMessage = (value: unknown): value is Fields =>
  isObject(value) && ["content", "parts", "tool_calls"].some((name) => value[name] !== undefined) && KNOWN.has(roleOf(value) ?? "");

function messageOf(value: unknown): Message | undefined {
  if (!isObject(value)) return undefined;
  // Items of OpenAI's responses that are no messages.
  if (value["type"] === "function_call") return { role: "assistant", parts: [call(value["name"], value["arguments"], value["call_id"])] };
  if (value["type"] === "function_call_output") return { role: "tool", parts: [{ kind: "result", id: text(value["call_id"]), content: unpacked(value["output"]) }] };
  if (value["type"] === "reasoning") return { role: "assistant", parts: [{ kind: "other", name: "reasoning", value: value["summary"] ?? value["content"] }] };
  if (!isMessage(value)) return undefined;
  const content = value["content"] ?? value["parts"];
  const parts = (Array.isArray(content) ? content : content === null || content === undefined || content === "" ? [] : [content]).map(partOf);
  const role = roleOf(value) ?? "user";
  const calls = Array.isArray(value["tool_calls"]) ? value["tool_calls"] : [];
  for (const one of calls) {
    if (!isObject(one)) continue;
    const made = isObject(one["function"]) ? one["function"] : one;
    parts.push(call(made["name"], made["arguments"] ?? made["args"], one["id"]));
  }
  const id = text(value["tool_call_id"]);
  if (role === "tool" && id !== undefined) return { role, parts: [{ kind: "result", id, content: unpacked(content) }] };
  return { role, parts };
}

const call = (name: unknown, given: unknown, id: unknown): Part => ({ kind: "call", name: text(name) ?? "?", arguments: unpacked(given), id: text(id) });

function partOf(value: unknown): Part {
  if (typeof value === "string") return { kind: "text", text: value };
  if (!isObject(value)) return { kind: "other", name: "value", value };
  const type = text(value["type"]) ?? "";
  const said = text(value["text"]) ?? (type === "text" || type === "" ? text(value["content"]) : undefined);
  if (said !== undefined && (type === "" || type.endsWith("text"))) return { kind: "text", text: said };
  if (type === "tool_use" || type === "tool_call") return call(value["name"], value["input"] ?? value["arguments"], value["id"]);
  if (type === "tool_result" || type === "tool_call_response") return { kind: "result", id: text(value["tool_use_id"]) ?? text(value["id"]), content: unpacked(value["content"] ?? value["response"] ?? value["result"]) };
  return { kind: "other", name: type === "" ? "value" : type.replaceAll("_", " "), value };
}

export interface Found {
  content: string;
  about: [string, string][];
}

/** The documents that a retriever found: texts with something about each. */
export function documentsOf(value: unknown): Found[] | undefined {
  const items = Array.isArray(value) ? value : isObject(value) && Array.isArray(value["documents"]) ? value["documents"] : undefined;
  if (!items || items.length === 0) return undefined;
  const found = items.map((item): Found | undefined => {
    const content = isObject(item) ? text(item["page_content"]) ?? text(item["content"]) : undefined;
    if (!isObject(item) || content === undefined || item["role"] !== undefined) return undefined;
    const about = isObject(item["metadata"]) ? item["metadata"] : {};
    return { content, about: Object.entries(about).map(([key, one]) => [key, typeof one === "string" ? one : JSON.stringify(one)]) };
  });
  return found.every((one) => one !== undefined) ? found : undefined;
}
