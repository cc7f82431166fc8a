import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { lookOf, placesOf } from "./palette";

const ids = Array.from({ length: 24 }, (_, at) => `run-${at}`);

it("draws no two of twenty-four runs alike, and eight with solid lines", () => {
  const places = [...placesOf(ids, new Map()).values()];
  expect(new Set(places).size).toBe(24);
  const few = [...placesOf(ids.slice(0, 8), new Map()).values()];
  expect(few.every((place) => lookOf(place).dash.length === 0)).toBe(true);
});

it("keeps a run's colour when others come and go", () => {
  const memory = new Map<string, number>();
  const before = placesOf(ids.slice(0, 6), memory);
  const after = placesOf([...ids.slice(3, 6).reverse(), "new"], memory);
  for (const id of ids.slice(3, 6)) expect(after.get(id)).toBe(before.get(id));
});

it("has a colour for the fiftieth too", () => {
  const many = Array.from({ length: 50 }, (_, at) => `x${at}`);
  expect(placesOf(many, new Map()).size).toBe(50);
});

type Rgb = [number, number, number];

const linear = (hex: string): Rgb => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)) as Rgb;
const times = (matrix: number[][], [r, g, b]: Rgb): Rgb => matrix.map((row) => (row[0] ?? 0) * r + (row[1] ?? 0) * g + (row[2] ?? 0) * b) as Rgb;
const luminance = (colour: Rgb): number => times([[0.2126, 0.7152, 0.0722], [0, 0, 0], [0, 0, 0]], colour)[0];

function lab(colour: Rgb): Rgb {
  const white = [0.9505, 1, 1.089];
  const clipped = colour.map((one) => Math.min(1, Math.max(0, one))) as Rgb;
  const xyz = times([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], clipped);
  const [x, y, z] = xyz.map((one, at) => one / (white[at] ?? 1)).map((one) => (one > 0.008856 ? Math.cbrt(one) : 7.787 * one + 16 / 116)) as Rgb;
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

// What those see who lack one kind of cone (Machado, Oliveira and Fernandes, 2009, full severity).
const EYES: Record<string, number[][]> = {
  usual: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

const tokens = readFileSync(new URL("../../styles/tokens.css", import.meta.url), "utf8");
const valuesOf = (name: RegExp): string[] => [...tokens.matchAll(name)].map((found) => found[1] ?? "");
const [runs, panels] = [valuesOf(/--run-\d: (#[0-9a-f]{6});/g), valuesOf(/--panel: (#[0-9a-f]{6});/g)];

it.each([0, 1, 2])("has eight colours in theme %d that everybody tells apart, at 3:1 or more", (theme) => {
  const colours = runs.slice(theme * 8, theme * 8 + 8).map(linear);
  const panel = luminance(linear(panels[theme] ?? ""));
  expect(colours.length).toBe(8);
  for (const colour of colours) {
    const [low, high] = [luminance(colour), panel].sort((a, b) => a - b) as [number, number];
    expect((high + 0.05) / (low + 0.05)).toBeGreaterThanOrEqual(3);
  }
  for (const eye of Object.values(EYES)) {
    const seen = colours.map((colour) => lab(times(eye, colour)));
    seen.forEach((a, at) => seen.slice(at + 1).forEach((b) => expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])).toBeGreaterThan(22)));
  }
});
