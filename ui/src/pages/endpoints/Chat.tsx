import { useEffect, useRef, useState, type FormEvent } from "react";
import { Announce } from "../../components/Announce";
import { ErrorNote } from "../../components/Notice";
import { duration, plural } from "../../lib/format";
import { useChat, type Turn } from "./useChat";

export function Chat({ name }: { name: string }) {
  const { turns, busy, error, send, stop, clear } = useChat(name);
  const [text, setText] = useState("");
  const [maxTokens, setMaxTokens] = useState(256);
  const [temperature, setTemperature] = useState(0.7);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [turns]);
  const submit = (event?: FormEvent): void => {
    event?.preventDefault();
    const message = text.trim();
    if (message === "" || busy) return;
    setText("");
    void send(message, { max_tokens: maxTokens, temperature });
  };
  const last = turns[turns.length - 1];
  return (
    <div className="chat">
      <div className="chat-box" ref={box} tabIndex={0} role="region" aria-label="Conversation" aria-busy={busy}>
        {turns.length === 0 && <p className="soft">Say something to {name}. Answers stream as the model writes them.</p>}
        {turns.map((turn) => <Bubble key={turn.id} turn={turn} />)}
      </div>
      {/* Read out once, when the answer is whole, not token by token. */}
      <Announce text={last?.ended ? last.content : ""} />
      {error !== undefined && <ErrorNote error={error} />}
      <form className="chat-form" onSubmit={submit}>
        <label htmlFor="chat-text" className="hidden-text">Message</label>
        <textarea
          id="chat-text"
          rows={2}
          placeholder="Message"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              submit();
            }
          }}
        />
        {busy
          ? <button type="button" className="button button-bad" onClick={stop}>Stop</button>
          : <button type="submit" className="button button-main" disabled={text.trim() === ""}>Send</button>}
      </form>
      <div className="toolbar">
        <label>Most tokens
          <input type="number" min={1} max={8192} value={maxTokens} onChange={(event) => setMaxTokens(Math.max(1, Number(event.target.value)))} />
        </label>
        <label>Temperature
          <input type="number" min={0} max={2} step={0.1} value={temperature} onChange={(event) => setTemperature(Math.min(2, Math.max(0, Number(event.target.value))))} />
        </label>
        <button type="button" className="button" disabled={turns.length === 0} onClick={clear}>New conversation</button>
        <span className="faint">Enter sends, Shift+Enter breaks the line</span>
      </div>
    </div>
  );
}

const ENDINGS: Record<string, string> = { length: "cut at the token limit", stopped: "stopped", error: "broken off" };

function Bubble({ turn }: { turn: Turn }) {
  const measured = turn.ended !== undefined && turn.took_ms !== undefined;
  return (
    <div className={`turn ${turn.role}`} data-turn={turn.role} data-ended={turn.ended}>
      <span className="turn-who">{turn.role === "user" ? "You" : "Model"}</span>
      <p>{turn.content}{turn.role === "assistant" && !measured && <span className="caret" aria-hidden="true" />}</p>
      {measured && (
        <p className="turn-facts number">
          {plural(turn.tokens ?? 0, "token")}
          {turn.first_token_ms !== undefined && <>, first after {duration(turn.first_token_ms)}</>}
          , {duration(turn.took_ms ?? 0)} in all
          {speed(turn) !== undefined && <>, {speed(turn)} tokens/s</>}
          {turn.ended && ENDINGS[turn.ended] && <>, {ENDINGS[turn.ended]}</>}
        </p>
      )}
    </div>
  );
}

/** Tokens after the first, over the time they took. */
function speed(turn: Turn): string | undefined {
  const { tokens = 0, took_ms = 0, first_token_ms } = turn;
  const writing = took_ms - (first_token_ms ?? took_ms);
  return tokens > 1 && writing > 0 ? (((tokens - 1) * 1000) / writing).toFixed(0) : undefined;
}
