import { expect, it } from "vitest";
import { textParts } from "./links";

const origin = "http://127.0.0.1:7070";
const run = "0123456789abcdef0123456789abcdef";
const links = (text: string) => textParts(text, origin).flatMap((part) => (part.link ? [[part.text, part.link]] : []));

it("loses no character", () => {
  for (const text of ["", "no link", "see https://a.example/x, then (http://b.example/y).", "https://a.example", "http://"]) {
    expect(textParts(text, origin).map((part) => part.text).join("")).toBe(text);
  }
});

it("leads what the mlflow client prints to our page", () => {
  const printed = `${origin}/#/experiments/1/runs/${run}`;
  expect(links(`View run kind-ape-1 at: ${printed}`)).toEqual([[printed, { href: `/experiments/1/runs/${run}`, here: true }]]);
});

it("tells our own addresses from others", () => {
  expect(links(`${origin}/v2/models/digits`)).toEqual([[`${origin}/v2/models/digits`, { href: "/v2/models/digits" }]]);
  expect(links(`https://a.example/#/experiments/1/runs/${run}`)[0]?.[1]).toEqual({ href: `https://a.example/#/experiments/1/runs/${run}`, away: true });
  expect(links("http://127.0.0.1:7071/x")[0]?.[1]).toMatchObject({ away: true });
});

it("leaves punctuation, other schemes and sign-in links alone", () => {
  expect(links("(see https://a.example/b).").map(([text]) => text)).toEqual(["https://a.example/b"]);
  expect(links("https://a.example/b_(c), d").map(([text]) => text)).toEqual(["https://a.example/b_(c)"]);
  expect(links("javascript:alert(1) file:///etc ftp://a.example")).toEqual([]);
  expect(links(`${origin}/#token=corliss_1`)).toEqual([]);
});
