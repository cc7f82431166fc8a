import { expect, it } from "vitest";
import { crumbs, folderOf, imageType, joined, justBefore, nameOf, visible } from "./names";

it("writes out what would turn a name around or hide in it", () => {
  expect(visible("\u202etxt.exe")).toBe("‹U+202E›txt.exe");
  expect(visible("a\u200bb\u00ad")).toBe("a‹U+200B›b‹U+00AD›");
  expect(visible("שלום עולם 日本語 😀")).toBe("שלום עולם 日本語 😀");
});

it("takes paths apart", () => {
  expect([nameOf("a/b.c"), nameOf("b"), folderOf("a/b/c"), folderOf("c")]).toEqual(["b.c", "b", "a/b", ""]);
  expect([joined("", "a"), joined("a/b", "c")]).toEqual(["a", "a/b/c"]);
});

it("names every folder of a short path", () => {
  expect(crumbs("")).toEqual([]);
  expect(crumbs("a/b")).toEqual([{ name: "a", path: "a" }, { name: "b", path: "a/b" }]);
});

it("folds the middle of a long path into one crumb", () => {
  const path = Array.from({ length: 20 }, (_, index) => `f${index}`).join("/");
  const all = crumbs(path);
  expect(all).toHaveLength(8);
  expect(all[0]).toEqual({ name: "f0", path: "f0" });
  expect(all[1]).toMatchObject({ name: "… 13 more", gap: true });
  expect(all[1]?.path.endsWith("f13")).toBe(true);
  expect(all[2]?.name).toBe("f14");
  expect(all.at(-1)?.path).toBe(path);
});

it("makes a token that only the text itself comes after", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const less = (a: string, b: string): boolean => Buffer.compare(bytes(a), bytes(b)) < 0;
  for (const name of ["a", "file-09", "é", "\ue000", "名", "😀", "a b", "z".repeat(300)]) {
    const token = justBefore(name);
    expect(less(token, name), name).toBe(true);
    expect(new TextDecoder().decode(bytes(token))).toBe(token);
    // The neighbours that a folder could well hold are on the same side as before.
    const shorter = [...name].slice(0, -1).join("");
    expect(shorter === "" || less(shorter, token), name).toBe(true);
    expect(less(token, `${name}x`)).toBe(true);
  }
  expect(justBefore("")).toBe("");
});

it.each([
  ["a/b.PNG", "image/png"], ["x.jpeg", "image/jpeg"], ["x.webp", "image/webp"], ["x.gif", "image/gif"],
  ["x.svg", undefined], ["x.html", undefined], ["png", undefined], ["a.png/b", undefined], ["x.constructor", undefined], ["x.__proto__", undefined],
])("shows %s as %s", (path, type) => expect(imageType(path)).toBe(type));
