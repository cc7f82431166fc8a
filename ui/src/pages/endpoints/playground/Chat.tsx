import { useEffect, useRef, type FormEvent, type KeyboardEvent } from "react";
import { Announce } from "../../../components/Announce";
import { ErrorNote } from "../../../components/Notice";
import { duration, plural } from "../../../lib/format";
import { ChatCode } from "./ChatCode";
import type { Conversation, Turn } from "./useChat";

/** As near to the end as this, whoever reads follows what is written. */
const NEAR_PX = 60;

export function Chat({ name, chat }: { name: string; chat: Conversation }) {
  const { turns, busy, error, settings, change, send, stop, clear } = chat;
  const box = useFollowing(turns);
  const message = useRef<HTMLTextAreaElement>(null);
  const halt = (): void => {
    stop();
    // The button that was pressed goes away.
    message.current?.focus();
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    send();
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <div className="chat">
      <details className="fold chat-system" open={settings.system !== "" || undefined}>
        <summary>System text</summary>
        <textarea aria-label="System text" rows={2} placeholder="What the model is told before anything else, such as how to answer" value={settings.system} onChange={(event) => change({ system: event.target.value })} />
      </details>
      <div className="chat-box" ref={box} tabIndex={0} role="region" aria-label="Conversation" aria-busy={busy}>
        {turns.length === 0 && <p className="soft">Say something to {name}. Answers stream as the model writes them.</p>}
        {turns.map((turn) => <Bubble key={turn.id} turn={turn} />)}
      </div>
      <Announce text={told(turns[turns.length - 1], busy)} />
      {error !== undefined && <ErrorNote error={error} />}
      <form className="chat-form" onSubmit={submit}>
        <label htmlFor="chat-text" className="hidden-text">Message</label>
        <textarea id="chat-text" ref={message} rows={2} placeholder="Message" value={settings.text} onChange={(event) => change({ text: event.target.value })} onKeyDown={press} />
        {busy
          ? <button type="button" className="button button-bad" onClick={halt}>Stop</button>
          : <button type="submit" className="button button-main" disabled={settings.text.trim() === ""}>Send</button>}
      </form>
      <div className="toolbar">
        <label>Most tokens
          <input type="number" min={1} value={settings.max_tokens} onChange={(event) => change({ max_tokens: event.target.value })} />
        </label>
        <label>Temperature
          <input type="number" min={0} max={2} step={0.1} value={settings.temperature} onChange={(event) => change({ temperature: event.target.value })} />
        </label>
        <button type="button" className="button" disabled={turns.length === 0} onClick={clear}>New conversation</button>
        <span className="faint">Enter sends, Shift+Enter breaks the line</span>
      </div>
      <ChatCode name={name} turns={turns} settings={settings} />
    </div>
  );
}

/** A box that stays at its end while its reader does. */
function useFollowing(turns: Turn[]) {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const many = useRef(0);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const look = (): void => { follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX; };
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, []);
  useEffect(() => {
    // Who says something wants to see what comes of it.
    if (turns.length !== many.current) follows.current = true;
    many.current = turns.length;
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight;
  }, [turns]);
  return box;
}

/** What is read out: that an answer is on its way, and the answer once it is whole, not token by token. */
function told(last: Turn | undefined, busy: boolean): string {
  if (busy) return "The model answers";
  return last?.ended ? `${last.content} ${ENDINGS[last.ended] ?? ""}`.trim() : "";
}

const ENDINGS: Record<string, string> = { length: "cut at the token limit", stopped: "stopped", error: "broken off" };

function Bubble({ turn }: { turn: Turn }) {
  const writes = turn.role === "assistant" && turn.ended === undefined;
  return (
    <div className={`turn ${turn.role}`} data-turn={turn.role} data-ended={turn.ended}>
      <span className="turn-who">{turn.role === "user" ? "You" : "Model"}</span>
      <p>{turn.content}{writes && <span className="caret" aria-hidden="true" />}</p>
      {turn.role === "assistant" && (turn.ended !== undefined || turn.first_token_ms !== undefined) && <p className="turn-facts number">{facts(turn)}</p>}
    </div>
  );
}

/** `42 tokens, first after 41 ms, 1.2 s in all, 36 tokens/s, cut at the token limit`. */
function facts(turn: Turn): string {
  const { ended, first_token_ms: first, took_ms: took, tokens, pieces } = turn;
  const many = tokens ?? pieces;
  const parts = [
    ended !== undefined && (tokens === undefined && pieces > 0 ? `about ${plural(pieces, "token")}` : plural(many, "token")),
    first !== undefined && `first after ${duration(first)}`,
    took !== undefined && `${duration(took)} in all`,
    // Those after the first, over the time that they took.
    first !== undefined && took !== undefined && many > 1 && took > first && `${(((many - 1) * 1000) / (took - first)).toFixed(0)} tokens/s`,
    ended !== undefined && ENDINGS[ended],
  ];
  return parts.filter(Boolean).join(", ");
}
