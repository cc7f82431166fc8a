// What may come next in a filter that somebody types: a name, an operator, a value, `AND`. It reads what stands before the
// caret as the server's grammar does, as far as it goes.
import { text } from "../filter";

export interface Name {
  /** As people say it: `metrics.val/loss`. */
  name: string;
  /** As the grammar takes it: ``metrics.`val/loss` ``. */
  written: string;
  says: string;
  operators: readonly string[];
  /** Texts it is known to have. */
  values?: readonly string[];
}

export interface Vocabulary {
  names: Name[];
  /** What may be asked of a name that is not known yet, by what stands before its first dot. */
  entities: Record<string, readonly string[]>;
}

export interface Choice {
  text: string;
  says?: string;
}

export interface Completion {
  /** The part of what was typed that a choice takes the place of. */
  from: number;
  to: number;
  choices: Choice[];
}

export const NUMBERS = ["<", "<=", ">", ">=", "=", "!="] as const;
export const TEXTS = ["=", "!=", "LIKE", "ILIKE"] as const;
export const PAIRS = [...TEXTS, "IS NULL", "IS NOT NULL"] as const;

/** More than a list beside a field is good for: typing on narrows it. */
const CHOICES_MAX = 40;

interface Token {
  kind: "name" | "operator" | "text" | "mark";
  text: string;
  from: number;
  to: number;
}

const TOKEN = /(?<text>'(?:[^']|'')*'?|(?<![.\w])"[^"]*"?)|(?<operator>[=<>!]+)|(?<mark>[(),])|(?<name>(?:[^\s=<>!(),'"`]+|`[^`]*`?|(?<=\.)"[^"]*"?)+)|\S/g;

function tokensOf(typed: string): Token[] {
  return [...typed.matchAll(TOKEN)].map((found) => {
    const kind = (["text", "operator", "mark", "name"] as const).find((one) => found.groups?.[one] !== undefined) ?? "mark";
    return { kind, text: found[0], from: found.index, to: found.index + found[0].length };
  });
}

type Place = "name" | "operator" | "null" | "value" | "list" | "next" | "and" | "lost";

interface Reading {
  place: Place;
  /** The name of the comparison that is being written. */
  name: string;
  /** The operator so far, such as `IS NOT`. */
  operator: string;
}

const WORDS = new Set(["LIKE", "ILIKE", "RLIKE", "IN"]);

/** Where the grammar is after one token more. */
function after({ place, name, operator }: Reading, token: Token): Reading {
  const word = token.text.toUpperCase();
  const lost: Reading = { place: "lost", name, operator };
  switch (place) {
    case "name":
      return token.kind === "name" ? { place: "operator", name: token.text, operator: "" } : lost;
    case "operator":
      if (token.kind === "operator" || WORDS.has(word)) return { place: "value", name, operator: word };
      if (word === "NOT") return { place, name, operator: word };
      return word === "IS" ? { place: "null", name, operator: word } : lost;
    case "null":
      return word === "NOT" ? { place, name, operator: "IS NOT" } : word === "NULL" ? { place: "and", name: "", operator: "" } : lost;
    case "value":
      if (token.text === "(") return { place: "list", name, operator };
      return token.kind === "text" || token.kind === "name" ? { place: "and", name: "", operator: "" } : lost;
    case "list":
      return token.kind === "text" || token.kind === "name" ? { place: "next", name, operator } : lost;
    case "next":
      return token.text === "," ? { place: "list", name, operator } : token.text === ")" ? { place: "and", name: "", operator: "" } : lost;
    case "and":
      return word === "AND" ? { place: "name", name: "", operator: "" } : lost;
    default:
      return lost;
  }
}

const START: Reading = { place: "name", name: "", operator: "" };

/** Without the marks that a name may be quoted by. */
const plain = (name: string): string => name.replace(/[`"]/g, "").toLowerCase();

function find(vocabulary: Vocabulary, written: string): Pick<Name, "operators" | "values"> | undefined {
  const known = vocabulary.names.find((one) => one.name.toLowerCase() === plain(written));
  if (known) return known;
  const dot = written.indexOf(".");
  const entity = written.slice(0, dot).toLowerCase();
  return dot > 0 && dot + 1 < written.length && Object.hasOwn(vocabulary.entities, entity) ? { operators: vocabulary.entities[entity] ?? [] } : undefined;
}

const endless = (token: Token): boolean => token.kind === "text" && !(token.text.length > 1 && token.text.endsWith(token.text[0] ?? "") && (token.text[0] === '"' || /^'(?:[^']|'')*'$/.test(token.text)));

/** Whether a comparison was begun and has no end yet: the server would refuse it, so it is not asked. */
export function unfinished(typed: string, vocabulary: Vocabulary): boolean {
  const tokens = tokensOf(typed);
  const last = tokens.at(-1);
  if (!last) return false;
  const reading = tokens.reduce(after, START);
  if (reading.place === "lost") return false;
  if (endless(last)) return true;
  if (reading.place === "operator" && reading.operator === "") {
    const entity = reading.name.slice(0, Math.max(0, reading.name.indexOf("."))).toLowerCase();
    return find(vocabulary, reading.name) !== undefined || (entity !== "" && Object.hasOwn(vocabulary.entities, entity));
  }
  return reading.place !== "and";
}

/** What may stand at the caret; undefined where nothing is known. */
export function completionOf(typed: string, caret: number, vocabulary: Vocabulary): Completion | undefined {
  const tokens = tokensOf(typed.slice(0, caret));
  const last = tokens.at(-1);
  // A word that the caret touches is not done yet. Brackets and commas are.
  const partial = last && (last.to === caret || endless(last)) && last.kind !== "mark" ? last : undefined;
  const reading = (partial ? tokens.slice(0, -1) : tokens).reduce(after, START);
  let choices = choicesAt(reading, partial, vocabulary);
  let from = partial?.from ?? caret;
  // `IS` and `NOT` are the beginning of an operator of several words.
  if ((reading.place === "null" || reading.place === "operator") && reading.operator !== "") {
    const begun = `${reading.operator} ${partial?.text ?? ""}`.toUpperCase();
    choices = (find(vocabulary, reading.name)?.operators ?? []).filter((one) => one.startsWith(begun) && one !== begun).map((one) => ({ text: one.slice(reading.operator.length + 1) }));
    from = partial?.from ?? caret;
  }
  return choices.length > 0 ? { from, to: caret, choices: choices.slice(0, CHOICES_MAX) } : undefined;
}

function choicesAt({ place, name }: Reading, partial: Token | undefined, vocabulary: Vocabulary): Choice[] {
  const typed = partial?.text ?? "";
  if (place === "name") return partial === undefined || partial.kind === "name" ? namesLike(vocabulary.names, typed) : [];
  const subject = find(vocabulary, name);
  if (place === "operator") return (subject?.operators ?? []).filter((one) => one.startsWith(typed.toUpperCase()) && one !== typed.toUpperCase()).map((one) => ({ text: one }));
  if (place === "and") return "AND".startsWith(typed.toUpperCase()) && typed.toUpperCase() !== "AND" ? [{ text: "AND" }] : [];
  if (place !== "value" && place !== "list") return [];
  const wanted = typed.replace(/^['"]|['"]$/g, "").replaceAll("''", "'").toLowerCase();
  return (subject?.values ?? []).filter((value) => value.toLowerCase().includes(wanted) && text(value) !== typed).map((value) => ({ text: text(value) }));
}

/** Names that begin so, then those whose part behind the dot does, then those that have it anywhere. */
function namesLike(names: Name[], typed: string): Choice[] {
  const wanted = plain(typed);
  const rank = (name: string): number => {
    const low = name.toLowerCase();
    if (low.startsWith(wanted)) return 0;
    return low.slice(low.indexOf(".") + 1).startsWith(wanted) ? 1 : low.includes(wanted) ? 2 : 3;
  };
  return names
    .map((one) => ({ one, at: rank(one.name) }))
    .filter(({ one, at }) => at < 3 && one.written.toLowerCase() !== typed.toLowerCase())
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => ({ text: one.written, says: one.says }));
}

/** What was typed with a choice in its place, and where the caret stands then. */
export function completed(typed: string, { from, to }: Completion, choice: Choice): { typed: string; caret: number } {
  const rest = typed.slice(to);
  const put = `${choice.text}${/^\s/.test(rest) ? "" : " "}`;
  return { typed: typed.slice(0, from) + put + rest, caret: from + choice.text.length + 1 };
}
