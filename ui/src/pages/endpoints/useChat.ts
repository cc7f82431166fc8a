// A conversation with a language model: streams the answer, measures it, can be stopped.
import { useEffect, useRef, useState } from "react";
import { chat, type ChatMessage } from "../../api/inference";

export interface Turn extends ChatMessage {
  id: number;
  /** Set once the answer ended. */
  ended?: string;
  first_token_ms?: number;
  took_ms?: number;
  tokens?: number;
}

interface Options {
  max_tokens: number;
  temperature: number;
}

export function useChat(model: string) {
  const [turns, setTurns] = useState<Turn[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const abort = useRef<AbortController | null>(null);
  const nextId = useRef(0);
  useEffect(() => () => abort.current?.abort(), []);

  const patch = (id: number, change: (turn: Turn) => Turn): void =>
    setTurns((all) => all.map((turn) => (turn.id === id ? change(turn) : turn)));

  const send = async (text: string, options: Options): Promise<void> => {
    const question: Turn = { id: nextId.current++, role: "user", content: text };
    const answer: Turn = { id: nextId.current++, role: "assistant", content: "" };
    const history = [...turns, question].filter((turn) => turn.content !== "").map(({ role, content }) => ({ role, content }));
    const controller = new AbortController();
    abort.current = controller;
    setTurns((all) => [...all, question, answer]);
    setBusy(true);
    setError(undefined);
    const start = performance.now();
    let pieces = 0;
    let ended = "stopped";
    try {
      for await (const delta of chat(model, history, options, controller.signal)) {
        const { text: piece, usage } = delta;
        if (piece !== undefined) {
          const first = pieces === 0 ? performance.now() - start : undefined;
          pieces += 1;
          patch(answer.id, (turn) => ({ ...turn, content: turn.content + piece, first_token_ms: turn.first_token_ms ?? first }));
        }
        if (delta.finish_reason !== undefined) ended = delta.finish_reason;
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
    patch(answer.id, (turn) => ({ ...turn, ended, took_ms, tokens: turn.tokens ?? pieces }));
    setBusy(false);
  };

  return {
    turns,
    busy,
    error,
    send,
    stop: () => abort.current?.abort(),
    clear: () => {
      abort.current?.abort();
      setTurns([]);
      setError(undefined);
    },
  };
}
