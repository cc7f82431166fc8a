// One way to the server: same origin, session cookie, JSON in and out, typed errors.
import { parseError, unreachable } from "./errors";

/** Marks a request as the console's own; the server demands it of cookie-authenticated writes. */
const CONSOLE_HEADER = { "x-corliss-console": "1" };

export interface Page<T> {
  items: T[];
  next_page_token?: string;
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  /** A body that is JSON text already. */
  raw?: string;
  /** A list is sent as the same name again and again. */
  query?: Record<string, string | number | boolean | string[] | undefined>;
  signal?: AbortSignal;
  accept?: string;
}

export function address(path: string, query: RequestOptions["query"] = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) value.forEach((one) => params.append(key, one));
    else if (value !== undefined && value !== "") params.set(key, String(value));
  }
  const search = params.toString();
  return search === "" ? path : `${path}?${search}`;
}

/** Sends the request and answers a successful response; anything else is thrown as an ApiError. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const method = options.method ?? "GET";
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const headers: Record<string, string> = { accept: options.accept ?? "application/json", ...CONSOLE_HEADER };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      headers,
      body,
      signal: options.signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  }
  if (!response.ok) throw parseError(response.status, await response.text().catch(() => ""));
  return response;
}

export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const body = await response.text();
  return (body === "" ? undefined : JSON.parse(body)) as T;
}

/** A path segment that may hold any character. */
export const segment = encodeURIComponent;
