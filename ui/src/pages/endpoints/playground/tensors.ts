// An example request from a model's metadata, and reading answers.
import type { ModelMetadata, TensorAnswer, TensorMetadata } from "../../../api/inference";

const MAX_VALUES = 4096;

type Scalar = number | string | boolean;

const blank = (datatype: string): Scalar => (datatype === "BOOL" ? false : datatype === "BYTES" ? "" : 0);

/** Sizes that the model leaves open (-1) become 1. */
export const closedShape = (shape: number[]): number[] => shape.map((size) => (size < 0 ? 1 : size));

function exampleInput({ name, datatype, shape }: TensorMetadata): { name: string; datatype: string; shape: number[]; data: Scalar[] } {
  const closed = closedShape(shape);
  const values = closed.reduce((product, size) => product * size, 1);
  return { name, datatype, shape: closed, data: new Array<Scalar>(Math.min(values, MAX_VALUES)).fill(blank(datatype)) };
}

/** Long arrays on few lines: sixteen values each, or one row of the last dimension where that is shorter. */
export function formatRequest(metadata: ModelMetadata): string {
  const inputs = (metadata.inputs ?? []).map(exampleInput).map((input) => {
    const last = input.shape[input.shape.length - 1] ?? 1;
    const row = last > 1 && last <= 16 ? last : 16;
    const rows: string[] = [];
    for (let at = 0; at < input.data.length; at += row) rows.push(input.data.slice(at, at + row).map((value) => JSON.stringify(value)).join(", "));
    const data = rows.length <= 1 ? `[${rows[0] ?? ""}]` : `[\n        ${rows.join(",\n        ")}\n      ]`;
    return [
      "    {",
      `      "name": ${JSON.stringify(input.name)},`,
      `      "datatype": ${JSON.stringify(input.datatype)},`,
      `      "shape": [${input.shape.join(", ")}],`,
      `      "data": ${data}`,
      "    }",
    ].join("\n");
  });
  return `{\n  "inputs": [\n${inputs.join(",\n")}\n  ]\n}`;
}

/** Where the text stops being JSON, as a sentence; undefined while it is fine. */
export function jsonProblem(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? `this is not valid JSON: ${error.message}` : "this is not valid JSON";
  }
}

export interface AnswerRow {
  index: string;
  value: Scalar;
  /** Where its bar starts and how wide it is, as shares of the scale; undefined for text and NaN. */
  bar?: { from: number; width: number };
  top: boolean;
}

const MAX_ROWS = 64;

export interface AnswerRows {
  rows: AnswerRow[];
  left: number;
  /** Where zero lies on the scale of the bars, 0 to 1. */
  zero: number;
}

/** The values of an output, each with its place, the greatest of each row marked. */
export function answerRows(output: TensorAnswer): AnswerRows {
  const last = output.shape.length > 1 ? (output.shape[output.shape.length - 1] ?? 1) : output.data.length;
  const shown = output.data.slice(0, MAX_ROWS);
  const numbers = shown.filter((value): value is number => Number.isFinite(value));
  // Bars grow from zero, to the right what is more and to the left what is less: a negative logit is no long bar.
  const low = numbers.reduce((least, value) => Math.min(least, value), 0);
  const high = numbers.reduce((most, value) => Math.max(most, value), 0);
  const at = (value: number): number => (high > low ? (value - low) / (high - low) : 0);
  const bar = (value: number) => ({ from: at(Math.min(0, value)), width: at(Math.max(0, value)) - at(Math.min(0, value)) });
  const rows = shown.map((value, place) => {
    const start = Math.floor(place / last) * last;
    const row = output.data.slice(start, start + last);
    const top = typeof value === "number" && last > 1 && row.every((other) => typeof other !== "number" || other <= value);
    const index = output.data.length > last ? `${start / last}, ${place - start}` : String(place);
    return { index, value, top, bar: typeof value === "number" && Number.isFinite(value) ? bar(value) : undefined };
  });
  return { rows, left: output.data.length - shown.length, zero: at(0) };
}
