// A search box that takes plain words or a filter, and offers what may come next in one, by the ARIA pattern of a combobox:
// the focus stays in the field, arrow keys walk the list, Enter takes what is chosen there and otherwise searches.
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { asApiError, sentence } from "../../../api/errors";
import { Icon } from "../../../components/Icon";
import type { Example } from "../filter";
import { completed, completionOf, unfinished, type Choice, type Completion, type Vocabulary } from "./complete";

/** Words are searched for as they are typed; a filter is wrong until it is whole, so it waits for Enter or a pause. */
const PAUSE_MS = 600;

interface Props {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
  error: unknown;
  vocabulary: Vocabulary;
  examples: Example[];
  /** What a filter is, in a sentence. */
  help: ReactNode;
}

export function SearchBox({ label, placeholder, value, onChange, error, vocabulary, examples, help: says }: Props) {
  const [typed, setTyped] = useState(value);
  const [help, setHelp] = useState(false);
  const [offer, setOffer] = useState<Completion | undefined>(undefined);
  /** Of the offered choices; -1 is none, so that Enter searches. */
  const [active, setActive] = useState(-1);
  const field = useRef<HTMLInputElement>(null);
  const caret = useRef<number | undefined>(undefined);
  const id = useId();
  // What was searched for comes back as the value, maybe after more was typed: only what comes from elsewhere is taken over.
  const sent = useRef(value);
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setTyped(value);
    setOffer(undefined);
    setActive(-1);
  }, [value]);
  const search = useCallback((text: string): void => {
    sent.current = text;
    onChange(text);
  }, [onChange]);
  const waits = useMemo(() => unfinished(typed, vocabulary), [typed, vocabulary]);
  useEffect(() => {
    if (typed === value || waits) return undefined;
    const timer = window.setTimeout(() => search(typed), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [typed, value, waits, search]);
  useLayoutEffect(() => {
    if (caret.current === undefined) return;
    field.current?.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  }, [typed]);
  const close = (): void => {
    setOffer(undefined);
    setActive(-1);
  };
  const show = (text: string, at: number): void => {
    setOffer(completionOf(text, at, vocabulary));
    setActive(-1);
  };
  const take = (choice: Choice): void => {
    if (!offer) return;
    const next = completed(typed, offer, choice);
    caret.current = next.caret;
    setTyped(next.typed);
    show(next.typed, next.caret);
  };
  const submit = (text: string): void => {
    close();
    search(text);
  };
  const press = (event: KeyboardEvent<HTMLInputElement>): void => {
    const at = event.currentTarget.selectionStart ?? typed.length;
    const many = offer?.choices.length ?? 0;
    const chosen = offer?.choices[active];
    if (event.key === "ArrowDown" && offer) setActive((active + 1) % many);
    else if (event.key === "ArrowUp" && offer) setActive(active <= 0 ? many - 1 : active - 1);
    else if (event.key === "ArrowDown" || (event.key === " " && event.ctrlKey)) show(typed, at);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen) take(chosen);
    else if (event.key === "Enter") submit(typed);
    else if (event.key === "Escape" && (offer || help)) {
      close();
      setHelp(false);
    } else if (event.key === "Escape" && typed !== "") {
      setTyped("");
      submit("");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const use = (filter: string): void => {
    setHelp(false);
    setTyped(filter);
    submit(filter);
    field.current?.focus();
  };
  const wrong = error !== undefined;
  return (
    <div className="run-search" onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) { setHelp(false); close(); } }}>
      <Icon name="search" />
      <input
        ref={field}
        type="text"
        inputMode="search"
        enterKeyHint="search"
        role="combobox"
        aria-autocomplete="list"
        aria-expanded={offer !== undefined && !help}
        aria-controls={offer !== undefined && !help ? `${id}-list` : undefined}
        aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
        data-search
        aria-label={label}
        placeholder={placeholder}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        value={typed}
        aria-invalid={wrong}
        aria-describedby={wrong ? `${id}-error` : undefined}
        onChange={(event) => {
          setTyped(event.target.value);
          setHelp(false);
          if (event.target.value.trim() === "") close();
          else show(event.target.value, event.target.selectionStart ?? event.target.value.length);
        }}
        onKeyDown={press}
      />
      {typed !== "" && <button type="button" className="button-icon run-search-clear" aria-label="Clear the search" title="Clear" onClick={() => use("")}><Icon name="cross" /></button>}
      <button type="button" className="button" aria-expanded={help} aria-controls={`${id}-help`} onClick={() => { close(); setHelp(!help); }}>Examples</button>
      {offer && !help && <Offer id={id} choices={offer.choices} active={active} onTake={take} />}
      {help && (
        <div className="popover" id={`${id}-help`} onKeyDown={(event) => { if (event.key === "Escape") { setHelp(false); field.current?.focus(); } }}>
          <p className="soft">{says}</p>
          <ul>
            {examples.map((one) => (
              <li key={one.filter}><button type="button" className="link" onClick={() => use(one.filter)}><code>{one.filter}</code></button> <span className="faint">{one.says}</span></li>
            ))}
          </ul>
        </div>
      )}
      <span className="hidden-text" role="status">{offer ? `${offer.choices.length} suggestions` : ""}</span>
      {wrong && <p className="run-search-error tone-bad" id={`${id}-error`} role="alert">{sentence(asApiError(error).report.message)}</p>}
    </div>
  );
}

function Offer({ id, choices, active, onTake }: { id: string; choices: Choice[]; active: number; onTake: (choice: Choice) => void }) {
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    if (active >= 0) list.current?.children[active]?.scrollIntoView({ block: "nearest" });
  }, [active]);
  return (
    <ul className="popover offer" id={`${id}-list`} role="listbox" aria-label="Suggestions" ref={list}>
      {choices.map((choice, index) => (
        // The press is kept from taking the focus out of the field.
        <li key={choice.text} id={`${id}-${index}`} role="option" aria-selected={index === active} onPointerDown={(event) => event.preventDefault()} onClick={() => onTake(choice)}>
          <code>{choice.text}</code>{choice.says && <span className="faint">{choice.says}</span>}
        </li>
      ))}
    </ul>
  );
}
