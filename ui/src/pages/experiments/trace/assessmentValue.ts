// The value of an assessment as a form asks for it.

export type Form = "yesno" | "number" | "text" | "json";

export const FORMS: { id: Form; label: string }[] = [
  { id: "yesno", label: "Yes or no" }, { id: "number", label: "A number" }, { id: "text", label: "A text" }, { id: "json", label: "JSON" },
];

export function formOf(value: unknown): Form {
  if (typeof value === "boolean") return "yesno";
  if (typeof value === "number") return "number";
  return typeof value === "string" ? "text" : "json";
}

/** As it stands in the form's field. */
export const typedOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value ?? null));

/** The value that was typed, or what is wrong with it. */
export function read(form: Form, typed: string): { value: unknown } | { wrong: string } {
  if (form === "yesno") return { value: typed === "true" };
  if (form === "number") {
    const value = Number(typed.trim().replace(",", "."));
    return typed.trim() === "" || !Number.isFinite(value) ? { wrong: "This is no number. Write one such as 0.5." } : { value };
  }
  if (form === "text") return typed.trim() === "" ? { wrong: "Write something, or choose another form." } : { value: typed };
  try {
    const value: unknown = JSON.parse(typed);
    return value === null ? { wrong: "A value that is null says nothing." } : { value };
  } catch (error) {
    return { wrong: `This is no JSON: ${error instanceof Error ? error.message : String(error)}.` };
  }
}
