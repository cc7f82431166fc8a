// The playground's request as something to paste: into a terminal, into a program. The token is not in it.
import type { ChatMessage } from "../../../api/inference";

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  max_tokens?: number;
  temperature?: number;
  stream?: boolean;
}

/** One argument of a POSIX shell, whatever is in it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const curl = (address: string, body: string, flags: string): string =>
  `curl ${flags} ${address} -H "authorization: Bearer $CORLISS_TOKEN" -H 'content-type: application/json' -d ${quoted(body)}`;

export const curlChat = (origin: string, request: ChatRequest): string =>
  curl(`${origin}/v1/chat/completions`, JSON.stringify(request), request.stream ? "-sN" : "-s");

/** `request` is JSON; it is sent on one line. */
export const curlInfer = (origin: string, model: string, request: string): string =>
  curl(`${origin}/v2/models/${encodeURIComponent(model)}/infer`, JSON.stringify(JSON.parse(request)), "-s");

/** Texts are written as JSON writes them: that is a literal of Python too. */
export function pythonChat(origin: string, request: ChatRequest): string {
  const { messages, ...rest } = request;
  const literal = (value: unknown): string => (typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value));
  return [
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)})  # the token is read from OPENAI_API_KEY`,
    "stream = client.chat.completions.create(",
    ...Object.entries({ ...rest, stream: true }).filter(([, value]) => value !== undefined).map(([name, value]) => `    ${name}=${literal(value)},`),
    "    messages=[",
    ...messages.map(({ role, content }) => `        {"role": ${literal(role)}, "content": ${literal(content)}},`),
    "    ],",
    ")",
    "for chunk in stream:",
    "    if chunk.choices:",
    '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    "",
  ].join("\n");
}
