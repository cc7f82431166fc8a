// JSON texts as they are shown: indented, without touching what they say. Parsing and writing anew would change numbers with
// more digits than a double has.

/** The text of a value with a line for each member; a text that is no JSON stays. */
export function indented(json: string): string {
  try {
    JSON.parse(json);
  } catch {
    return json;
  }
  const out: string[] = [];
  let [depth, opened] = [0, false];
  const line = (): void => void out.push(`\n${"  ".repeat(depth)}`);
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    // Nothing within: its brackets stay together.
    if (opened !== closes) line();
    out.push(token === ":" ? ": " : token);
    opened = token === "{" || token === "[";
    if (opened) depth += 1;
    if (token === ",") line();
  }
  return out.join("");
}
