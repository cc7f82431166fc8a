export interface MetricFold {
  name: string;
  keys: string[];
}

/** `train/loss` and `train/accuracy` lie in `train`; what the machine did comes last. A fold of one would be no help. */
export function metricFolds(keys: string[]): MetricFold[] {
  const byName = new Map<string, string[]>();
  for (const key of [...keys].sort()) {
    const slash = key.indexOf("/");
    const name = slash > 0 ? key.slice(0, slash) : "";
    byName.set(name, [...(byName.get(name) ?? []), key]);
  }
  const folds = [...byName].map(([name, inside]) => ({ name, keys: inside }));
  const single = folds.filter((fold) => fold.keys.length === 1 && fold.name !== "system");
  const loose = single.flatMap((fold) => fold.keys);
  const plain = folds.find((fold) => fold.name === "");
  const rest = folds.filter((fold) => !single.includes(fold) && fold !== plain);
  const first = [...new Set([...(plain?.keys ?? []), ...loose])].sort();
  return [...(first.length > 0 ? [{ name: "", keys: first }] : []), ...rest].sort((a, b) => Number(a.name === "system") - Number(b.name === "system"));
}
