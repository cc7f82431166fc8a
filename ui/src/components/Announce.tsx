import { useEffect, useRef, useState } from "react";

/** Says `text` to screen readers when it changes; silent at first, since the page itself is read then. */
export function Announce({ text }: { text: string }) {
  const previous = useRef(text);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (previous.current !== text) {
      previous.current = text;
      setSaid(text);
    }
  }, [text]);
  return <div className="hidden-text" role="status" aria-live="polite">{said}</div>;
}
