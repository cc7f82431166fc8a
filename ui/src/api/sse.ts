// A parser of server-sent events (WHATWG HTML, section 9.2.6) over text that arrives in any pieces.
// EventSource is not used: it cannot POST, and it hides the status of a refused connection.

export interface ServerEvent {
  event: string;
  data: string;
  id?: string;
}

export class SseParser {
  private buffer = "";
  private event = "";
  private data: string[] = [];
  private id: string | undefined;
  private started = false;

  /** Takes the next piece of text and answers the events that it completes. */
  push(chunk: string): ServerEvent[] {
    this.buffer += chunk;
    if (!this.started && this.buffer !== "") {
      this.started = true;
      if (this.buffer.charCodeAt(0) === 0xfeff) this.buffer = this.buffer.slice(1);
    }
    const events: ServerEvent[] = [];
    for (;;) {
      const line = this.takeLine();
      if (line === undefined) return events;
      const complete = this.line(line);
      if (complete) events.push(complete);
    }
  }

  private takeLine(): string | undefined {
    const at = this.buffer.search(/[\r\n]/);
    if (at < 0) return undefined;
    const isReturn = this.buffer[at] === "\r";
    // A lone CR at the end may be the first half of CRLF: wait for what follows.
    if (isReturn && at + 1 === this.buffer.length) return undefined;
    const line = this.buffer.slice(0, at);
    this.buffer = this.buffer.slice(at + (isReturn && this.buffer[at + 1] === "\n" ? 2 : 1));
    return line;
  }

  private line(line: string): ServerEvent | undefined {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return undefined;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
    return undefined;
  }

  private dispatch(): ServerEvent | undefined {
    const event = this.event === "" ? "message" : this.event;
    const data = this.data;
    this.event = "";
    this.data = [];
    if (data.length === 0) return undefined;
    return { event, data: data.join("\n"), id: this.id };
  }
}
