/** What was measured on held-out data comes before what was measured in training, and that before all else. */
export function rank(key: string): number {
  const goal = /(acc|accuracy|loss|f1|auc|error|score|reward)$/i.test(key);
  if (/^(system|train|training)\b/i.test(key)) return goal && !key.startsWith("system/") ? 2 : 4;
  return goal ? (/^(test|val|valid|validation|eval|dev)(?![a-z])/i.test(key) ? 0 : 1) : 3;
}
