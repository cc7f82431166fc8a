// A conversation with a language model: streams the answer, measures it, can be stopped.
import { useEffect, useRef, useState } from "react";
import { chat, type ChatMessage, type ChatOptions } from "../../../api/inference";

export interface Turn extends ChatMessage {
  id: number;
  /** Set once the answer ended. */
  ended?: string;
  first_token_ms?: number;
  took_ms?: number;
  /** As the server counts them; of an answer that was stopped it says nothing. */
  tokens?: number;
  /** Pieces that came, most often a token each. */
  pieces: number;
}

/** As typed; what is empty is left to the server. */
export interface Settings {
  text: string;
  system: string;
  max_tokens: string;
  temperature: string;
}

export interface Conversation {
  turns: Turn[];
  busy: boolean;
  error: unknown;
  settings: Settings;
  change: (settings: Partial<Settings>) => void;
  send: () => void;
  stop: () => void;
  clear: () => void;
}

const FIRST: Settings = { text: "", system: "", max_tokens: "256", temperature: "0.7" };

/** The messages that are sent with this one: what is empty was never said. */
export function messagesOf(turns: Pick<Turn, "role" | "content">[], settings: Pick<Settings, "system" | "text">): ChatMessage[] {
  const all: ChatMessage[] = [{ role: "system", content: settings.system.trim() }, ...turns.map(({ role, content }) => ({ role, content })), { role: "user", content: settings.text.trim() }];
  return all.filter((one) => one.content !== "");
}

export function optionsOf(settings: Pick<Settings, "max_tokens" | "temperature">): ChatOptions {
  const number = (typed: string): number | undefined => (typed.trim() === "" || !Number.isFinite(Number(typed)) ? undefined : Number(typed));
  return { max_tokens: number(settings.max_tokens), temperature: number(settings.temperature) };
}

export function useChat(model: string): Conversation {
  const [turns, setTurns] = useState<Turn[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const [settings, setSettings] = useState(FIRST);
  const abort = useRef<AbortController | null>(null);
  const nextId = useRef(0);
  useEffect(() => () => abort.current?.abort(), []);

  const patch = (id: number, change: (turn: Turn) => Turn): void =>
    setTurns((all) => all.map((turn) => (turn.id === id ? change(turn) : turn)));

  const send = async (): Promise<void> => {
    const question: Turn = { id: nextId.current++, role: "user", content: settings.text.trim(), pieces: 0 };
    const answer: Turn = { id: nextId.current++, role: "assistant", content: "", pieces: 0 };
    const messages = messagesOf(turns, settings);
    const controller = new AbortController();
    abort.current = controller;
    setTurns((all) => [...all, question, answer]);
    setSettings((before) => ({ ...before, text: "" }));
    setBusy(true);
    setError(undefined);
    const start = performance.now();
    let ended = "stopped";
    try {
      for await (const { text: piece, usage, finish_reason } of chat(model, messages, optionsOf(settings), controller.signal)) {
        if (piece !== undefined) {
          const now = performance.now() - start;
          patch(answer.id, (turn) => ({ ...turn, content: turn.content + piece, pieces: turn.pieces + 1, first_token_ms: turn.first_token_ms ?? now }));
        }
        if (finish_reason !== undefined) ended = finish_reason;
        if (usage) patch(answer.id, (turn) => ({ ...turn, tokens: usage.completion_tokens }));
      }
    } catch (thrown) {
      // Leaving by the stop button is not an error.
      if (!controller.signal.aborted) {
        ended = "error";
        setError(thrown);
      }
    }
    const took_ms = performance.now() - start;
    patch(answer.id, (turn) => ({ ...turn, ended: controller.signal.aborted ? "stopped" : ended, took_ms }));
    // Of a conversation that was cleared meanwhile the next answer may be on its way.
    if (abort.current === controller) setBusy(false);
  };

  return {
    turns,
    busy,
    error,
    settings,
    change: (change) => setSettings((before) => ({ ...before, ...change })),
    send: () => { if (!busy && settings.text.trim() !== "") void send(); },
    stop: () => abort.current?.abort(),
    clear: () => {
      abort.current?.abort();
      abort.current = null;
      setBusy(false);
      setTurns([]);
      setError(undefined);
    },
  };
}
