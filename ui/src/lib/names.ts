// Names and paths that other people chose, as they can be shown: nothing hidden, nothing turned around.

// Marks that turn text around or take no room: with them `exe.txt` can be a program.
const HIDDEN = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** The name with every invisible mark written out, such as `‹U+202E›`. */
export const visible = (name: string): string =>
  name.replace(HIDDEN, (mark) => `‹U+${(mark.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}›`);

export const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** The folder that a path lies in; `""` is the version itself. */
export const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

export const joined = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);

export interface Crumb {
  name: string;
  path: string;
  /** Stands for the folders between its neighbours. */
  gap?: boolean;
}

/** The folders of a path, outermost first. Of more than `most` the middle ones are one crumb, which leads to the last of them. */
export function crumbs(path: string, most = 8): Crumb[] {
  if (path === "") return [];
  const names = path.split("/");
  const all = names.map((name, index) => ({ name, path: names.slice(0, index + 1).join("/") }));
  if (all.length <= most) return all;
  const tail = all.slice(2 - most);
  const hidden = all.slice(1, all.length - tail.length);
  return [...all.slice(0, 1), { name: `… ${hidden.length} more`, path: hidden.at(-1)?.path ?? "", gap: true }, ...tail];
}

/** A text that sorts before `text`, with nothing that could be a name between them: as a page token it makes `text` come first. */
export function justBefore(text: string): string {
  const chars = [...text];
  const last = chars.pop()?.codePointAt(0);
  if (last === undefined) return "";
  if (last === 0) return chars.join("");
  // Half of a surrogate pair has no place in UTF-8.
  const before = last === 0xe000 ? 0xd7ff : last - 1;
  return `${chars.join("")}${String.fromCodePoint(before, 0x10ffff)}`;
}

const IMAGES: Record<string, string> = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp" };

const extension = (path: string): string => /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";

/** The type to show a file as an image with. Only types that cannot hold a script: SVG is none of them. */
export const imageType = (path: string): string | undefined => (Object.hasOwn(IMAGES, extension(path)) ? IMAGES[extension(path)] : undefined);
