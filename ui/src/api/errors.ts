// What went wrong, in the server's own words: every dialect's error body becomes one ApiError.

export interface ErrorReport {
  code: string;
  message: string;
  field?: string;
  hint?: string;
  retryable: boolean;
}

export class ApiError extends Error {
  readonly status: number;
  readonly report: ErrorReport;

  constructor(status: number, report: ErrorReport) {
    super(report.message);
    this.name = "ApiError";
    this.status = status;
    this.report = report;
  }

  get signedOut(): boolean {
    return this.status === 401;
  }

  get unreachable(): boolean {
    return this.status === 0;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/** One sentence with a capital and a full stop, whatever the server's house style is. */
export function sentence(message: string): string {
  const trimmed = message.trim();
  if (trimmed === "") return "";
  // A field is written as it is called, at the beginning of a sentence too: `retry.attempts`, `max_tokens`.
  const named = /^\w*(_|\.\w|\[)/.test(trimmed);
  const first = named ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function fallback(status: number): ErrorReport {
  return {
    code: `http_${status}`,
    message: `the server answered with status ${status} and no explanation`,
    retryable: status === 429 || status >= 500,
  };
}

/**
 * Reads an error body: native and OpenAI `{"error": {...}}`, Open Inference Protocol
 * `{"error": "text"}`, MLflow `{"error_code", "message"}`.
 */
export function parseError(status: number, body: string): ApiError {
  const base = fallback(status);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return new ApiError(status, base);
  }
  if (!isRecord(parsed)) return new ApiError(status, base);
  const inner = parsed["error"];
  if (typeof inner === "string") return new ApiError(status, { ...base, message: inner });
  const source = isRecord(inner) ? inner : parsed;
  return new ApiError(status, {
    code: text(source["code"]) ?? text(source["error_code"]) ?? text(source["type"]) ?? base.code,
    message: text(source["message"]) ?? base.message,
    field: text(source["field"]) ?? text(source["param"]),
    hint: text(source["hint"]),
    retryable: typeof source["retryable"] === "boolean" ? source["retryable"] : base.retryable,
  });
}

/** The request never reached the server, or the connection broke. */
export function unreachable(): ApiError {
  return new ApiError(0, {
    code: "unreachable",
    message: "Corliss does not answer at this address",
    hint: "Start it with `corliss up`, or look at `corliss status`.",
    retryable: true,
  });
}

/** Any thrown value as an ApiError, so that pages show one shape. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(-1, { code: "console", message, retryable: false });
}
