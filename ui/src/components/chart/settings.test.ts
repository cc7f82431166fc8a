import { expect, it } from "vitest";
import { readSettings } from "./settings";

it("takes what fits of what was kept", () => {
  expect(readSettings('{"axis":"time","smoothing":0.6,"logX":false,"logY":true}')).toEqual({ axis: "time", smoothing: 0.6, logX: false, logY: true });
  for (const broken of [null, "", "{", "null", "[]", '{"axis":"up","smoothing":7,"logY":1}']) {
    expect(readSettings(broken)).toMatchObject({ smoothing: 0, logX: false, logY: false });
    expect(readSettings(broken).axis).toBeUndefined();
  }
});
