// The lines of a log. Only those in view are in the document, so ten thousand scroll like ten.
import { useRouter } from "@tanstack/react-router";
import { useEffect, useLayoutEffect, useRef, useState, type MouseEvent, type ReactNode } from "react";
import { textParts, type TextPart } from "../../lib/links";
import type { ShownLine } from "./useLogs";
import { splitHits, visibleRange } from "./logText";

const ROW = 19;
const NEAR_END = 2 * ROW;

interface Props {
  lines: ShownLine[];
  follow: boolean;
  onFollow: (follow: boolean) => void;
  wanted: string;
  focusRow: number | undefined;
}

export function LogLines({ lines, follow, onFollow, wanted, focusRow }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 480 });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [follow, lines]);

  useEffect(() => {
    const element = box.current;
    if (focusRow !== undefined && element) element.scrollTop = Math.max(0, focusRow * ROW - element.clientHeight / 2);
  }, [focusRow]);

  const scrolled = (): void => {
    const element = box.current;
    if (!element) return;
    const up = element.scrollTop < view.top;
    const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - NEAR_END;
    // Scrolling up is how people say "stop following"; the end of the log is how they say "go on".
    if (follow && up && !atEnd) onFollow(false);
    setView({ top: element.scrollTop, height: element.clientHeight });
  };

  const [first, last] = visibleRange(view.top, view.height, ROW, lines.length);
  return (
    <div className="log-box" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-live="off" aria-label="Log">
      <div className="log-rows" style={{ height: lines.length * ROW }}>
        <ol style={{ transform: `translateY(${first * ROW}px)` }} start={first + 1}>
          {lines.slice(first, last).map((line, index) => (
            <li key={line.key} className={`${line.stream}${first + index === focusRow ? " focus-row" : ""}`}>
              <Text text={line.text} wanted={wanted} />
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}

function Text({ text, wanted }: { text: string; wanted: string }) {
  if (text === "") return " ";
  if (!text.includes("://")) return <Hits text={text} wanted={wanted} />;
  return textParts(text, window.location.origin).map((part, index) => {
    const shown = <Hits key={index} text={part.text} wanted={wanted} />;
    return part.link ? <LogLink key={index} link={part.link}>{shown}</LogLink> : shown;
  });
}

function LogLink({ link, children }: { link: NonNullable<TextPart["link"]>; children: ReactNode }) {
  const router = useRouter();
  if (link.away) return <a href={link.href} target="_blank" rel="noreferrer">{children}</a>;
  const go = (event: MouseEvent): void => {
    if (!link.here || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    router.history.push(link.href);
  };
  return <a href={link.href} onClick={go}>{children}</a>;
}

function Hits({ text, wanted }: { text: string; wanted: string }) {
  if (wanted === "") return text;
  return splitHits(text, wanted).map((part, index) => (index % 2 === 1 ? <mark key={index}>{part}</mark> : part));
}
