// What a page says when it has nothing to show: an error with its fix, an empty state with the next command, a skeleton.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { asApiError, sentence } from "../api/errors";
import { Command } from "./Command";
import { Icon } from "./Icon";

/** Turns the `commands` of a hint into code. */
function Hint({ text }: { text: string }) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

interface ErrorProps {
  error: unknown;
  retry?: () => void;
  /** The list to go back to where there is nothing to wait for. */
  back?: { to: "/runs" | "/models" | "/data" | "/endpoints" | "/experiments"; label: string };
}

export function ErrorNote({ error, retry, back }: ErrorProps) {
  const { report, status } = asApiError(error);
  // The same question gets the same answer: a wrong address does not become right.
  const final = status === 400 || status === 404;
  return (
    <div className="note note-bad" role="alert">
      <Icon name="bang" />
      <div>
        <p>
          {sentence(report.message)}
          {report.field && <> Field: <code>{report.field}</code>.</>}
        </p>
        {report.hint && <p className="soft"><Hint text={sentence(report.hint)} /></p>}
      </div>
      {final && back && <Link to={back.to} className="button">{back.label}</Link>}
      {!final && retry && <button type="button" className="button" onClick={retry}>Try again</button>}
    </div>
  );
}

/** Why something is as it is, above the rest of its page. */
export function Note({ bad, children }: { bad: boolean; children: ReactNode }) {
  return (
    <div className={bad ? "note note-bad" : "note"}>
      {bad && <Icon name="bang" />}
      <p>{children}</p>
    </div>
  );
}

export function Empty({ title, children, command }: { title: string; children?: ReactNode; command?: string | string[] }) {
  return (
    <div className="empty">
      <h3>{title}</h3>
      {children && <p className="soft">{children}</p>}
      {[command ?? []].flat().map((one) => <Command key={one} text={one} />)}
    </div>
  );
}

export function Skeleton({ lines = 4 }: { lines?: number }) {
  return (
    <div className="skeleton" role="status">
      <span className="hidden-text">Loading</span>
      {Array.from({ length: lines }, (_, index) => <i key={index} aria-hidden="true" />)}
    </div>
  );
}
