// Gives the user a file that this page made.

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // After the browser has taken it.
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
