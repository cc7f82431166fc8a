// The two protocols that an endpoint speaks: Open Inference Protocol v2 and OpenAI chat completions.
import { request, segment } from "./client";
import { ApiError } from "./errors";
import { events } from "./stream";

export interface TensorMetadata {
  name: string;
  datatype: string;
  shape: number[];
}

export interface ModelMetadata {
  name: string;
  versions?: string[];
  platform?: string;
  inputs?: TensorMetadata[];
  outputs?: TensorMetadata[];
}

export interface TensorAnswer {
  name: string;
  datatype: string;
  shape: number[];
  data: (number | string | boolean)[];
}

export interface InferAnswer {
  model_name: string;
  model_version?: string;
  id?: string;
  outputs: TensorAnswer[];
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface ChatDelta {
  text?: string;
  finish_reason?: string;
  usage?: { prompt_tokens: number; completion_tokens: number };
}

interface Chunk {
  choices?: { delta?: { content?: string }; finish_reason?: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message?: string; code?: string };
}

export const metadata = (name: string) => request<ModelMetadata>(`/v2/models/${segment(name)}`);

export const infer = (name: string, body: string) =>
  request<InferAnswer>(`/v2/models/${segment(name)}/infer`, { method: "POST", raw: body });

function delta(chunk: Chunk): ChatDelta {
  const choice = chunk.choices?.[0];
  return {
    text: choice?.delta?.content || undefined,
    finish_reason: choice?.finish_reason ?? undefined,
    usage: chunk.usage ?? undefined,
  };
}

/** What is absent is left to the server. */
export interface ChatOptions {
  max_tokens?: number;
  temperature?: number;
}

export async function* chat(model: string, messages: ChatMessage[], options: ChatOptions, signal: AbortSignal): AsyncGenerator<ChatDelta> {
  const body = { model, messages, stream: true, stream_options: { include_usage: true }, ...options };
  for await (const event of events("/v1/chat/completions", { method: "POST", body, signal })) {
    if (event.data === "[DONE]") return;
    const chunk = JSON.parse(event.data) as Chunk;
    if (chunk.error) {
      const message = chunk.error.message ?? "the model stopped with an error";
      throw new ApiError(500, { code: chunk.error.code ?? "engine", message, retryable: true });
    }
    yield delta(chunk);
  }
  // Only [DONE] says that an answer is whole.
  if (!signal.aborted) throw new ApiError(502, { code: "answer_cut", message: "the connection ended before the answer did", retryable: true });
}
