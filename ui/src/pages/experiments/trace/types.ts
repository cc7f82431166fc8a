// Types of spans, put into a few families that have a colour each: more than eight colours nobody tells apart.

const FAMILIES: Record<string, string> = {
  LLM: "model", CHAT_MODEL: "model",
  AGENT: "agent",
  TOOL: "tool",
  RETRIEVER: "search", RERANKER: "search", EMBEDDING: "search",
  CHAIN: "chain", WORKFLOW: "chain", TASK: "chain",
  EVALUATOR: "judge", GUARDRAIL: "judge",
  PARSER: "data", MEMORY: "data",
};

/** The class of a span's colour. */
export const familyOf = (type: string): string => `span-${Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : "other"}`;

/** As people read it: `CHAT_MODEL` as `chat model`; nothing where nobody said. */
export const typeWords = (type: string): string => (type === "UNKNOWN" ? "" : type === "LLM" ? "LLM" : type.replaceAll("_", " ").toLowerCase());
