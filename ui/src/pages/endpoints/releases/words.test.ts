import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import type { Release } from "../../../api/releases";
import { Compared, Steps } from "./Compared";
import { announced, errors, fromTo, gets, next, objectives } from "./words";

const seen = { requests: 0, errors: 0, p50_us: null, p99_us: null, first_token_p99_us: null };
const release: Release = {
  id: "rel_1", endpoint: "digits", model: "digits/2", from_version: 1, from_model: "digits", to_version: 2, to_model: "digits", plan: { strategy: "canary", objectives: { max_error_bp: 100 } },
  state: "running", step: 1, steps_total: 3, percent: 25, copies: 0, begun_ms: 1000, reason: null, started_by: "ana",
  versions: [{ ...seen, version: 1, replicas_ready: 2, requests: 900 }, { ...seen, version: 2, replicas_ready: 1, requests: 60, errors: 3, p99_us: 9400 }],
  steps: [{ step: 0, percent: 5, copies: 0, begun_ms: 0, ended_ms: 1000, old: { ...seen, requests: 800 }, new: { ...seen, requests: 52 } }],
  created_ms: 0, updated_ms: 0, ended_ms: null,
};

it("says what each version gets", () => {
  expect([1, 2].map((version) => gets(release, version))).toEqual(["75 %", "25 %"]);
  const shadow = { ...release, percent: 0, copies: 20 };
  expect([1, 2].map((version) => gets(shadow, version))).toEqual(["100 %", "copies of 20 %"]);
});

it("names the models where they differ", () => {
  expect(fromTo(release)).toBe("version 1 to 2");
  expect(fromTo({ ...release, to_model: "letters" })).toBe("digits version 1 to letters version 2");
  expect(fromTo({ ...release, from_model: undefined })).toBe("version 1 to 2");
});

it("says what comes next, and what it waits for", () => {
  expect(next({ ...release, next: { waits_for: "time", until_ms: 31_000 } }, 1_000)).toBe("In 30.0 s: step 3 of 3 begins.");
  expect(next({ ...release, step: 2, next: { waits_for: "requests", missing: 1 } }, 0)).toBe("After 1 more request to judge by: version 2 takes the place of version 1.");
  expect(next({ ...release, next: { waits_for: "replicas", ready: 1, needed: 2 } }, 0)).toBe("The step begins when 2 replicas of the new version are ready; 1 is.");
  expect(next({ ...release, next: { waits_for: "decision" } }, 0)).toMatch(/promotes it or rolls it back/);
  expect(next({ ...release, state: "paused", next: { waits_for: "resume" } }, 0)).toMatch(/lets it go on/);
});

it("says what must be kept", () => {
  expect(objectives(release.plan)).toEqual(["At most 1 % of its requests get no answer."]);
  const all = objectives({ strategy: "ab", objectives: { max_error_bp: 25, max_p99_ms: 200, max_p99_ratio_percent: 150, max_first_token_p99_ms: 2000 } });
  expect(all).toHaveLength(4);
  expect(all[0]).toContain("0.25 %");
  expect(all[2]).toContain("1.5 times");
});

it("tells errors with their share, and a state to who does not see it", () => {
  expect([errors({ requests: 0, errors: 0 }), errors({ requests: 60, errors: 3 })]).toEqual(["0", "3 (5 %)"]);
  expect(announced(release)).toBe("Release of version 2: step 2 of 3, version 2 gets 25 %");
  expect(announced({ ...release, state: "rolled_back" })).toBe("Release of version 2: rolled back");
});

it("shows both versions side by side, and copies only where there are some", () => {
  const page = renderToStaticMarkup(createElement(Compared, { release }));
  for (const said of ["75 %", "25 %", "900", "3 (5 %)", "9.4 ms"]) expect(page).toContain(said);
  expect(page).not.toContain("Answered alike");
  const copied = { ...release, copies: 20, versions: release.versions.map((one) => (one.version === 2 ? { ...one, same: 7, different: 2, skipped: 0 } : one)) };
  expect(renderToStaticMarkup(createElement(Compared, { release: copied }))).toContain("7 of 9");
});

it("shows the steps that have ended, if there are any", () => {
  const page = renderToStaticMarkup(createElement(Steps, { release }));
  for (const said of ["1 of 3", "5 %", "52", "800"]) expect(page).toContain(said);
  expect(renderToStaticMarkup(createElement(Steps, { release: { ...release, steps: [] } }))).toBe("");
});
