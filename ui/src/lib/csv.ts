// Comma-separated values as RFC 4180 has them, for what is downloaded.

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const toCsv = (rows: string[][]): string => rows.map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
