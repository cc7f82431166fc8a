// A command for the terminal, with a button that copies it.
import { useEffect, useState } from "react";
import { Icon } from "./Icon";

export function Command({ text }: { text: string }) {
  return (
    <div className="command">
      <code>{text}</code>
      <Copy text={text} label={`Copy the command ${text}`} />
    </div>
  );
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = window.setTimeout(() => setCopied(false), 1500);
    return () => window.clearTimeout(timer);
  }, [copied]);
  const copy = (): void => {
    // Absent on plain http beyond localhost; the text can still be selected.
    navigator.clipboard?.writeText(text).then(() => setCopied(true), () => undefined);
  };
  return (
    <button type="button" className="button-icon" aria-label={copied ? "Copied" : label} title={copied ? "Copied" : "Copy"} onClick={copy}>
      <Icon name={copied ? "check" : "copy"} />
    </button>
  );
}

/** An id, shortened on screen, whole in its title and when copied. */
export function Id({ id, short }: { id: string; short: string }) {
  return <code className="id" title={id}>{short}</code>;
}
