// The mlflow client prints links into the fragment of the address, as its own page wants them:
// `/#/experiments/1/runs/0123…`, `/#/experiments/1/traces?selectedEvaluationId=tr-…`, `/#/models/digits/versions/2`.

/** The console's page for such a fragment, or undefined. */
export function placeOf(fragment: string): string | undefined {
  const trace = /^#(\/experiments\/\d+\/traces)(?:\/(tr-[0-9a-f]{32})|\/?\?(?:.*&)?selectedEvaluationId=(tr-[0-9a-f]{32}))?(?:[/?&].*)?$/.exec(fragment);
  const id = trace?.[2] ?? trace?.[3];
  if (trace) return id === undefined ? trace[1] : `${trace[1]}/${id}`;
  const run = /^#(\/experiments\/\d+(?:\/runs\/[0-9a-f]{32})?)(?:[/?].*)?$/.exec(fragment);
  if (run?.[1]) return run[1];
  const model = /^#(\/models\/[^/?]+)(?:\/versions\/(\d+))?(?:[/?].*)?$/.exec(fragment);
  return model?.[2] ? `${model[1]}?version=${model[2]}` : model?.[1];
}

/** Replaces an address that an mlflow client printed by the page it means. */
export function followClientLink(): void {
  const place = placeOf(window.location.hash);
  if (place !== undefined) window.history.replaceState(window.history.state, "", place);
}
