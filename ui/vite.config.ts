// Builds the console into `dist`, which the binary embeds.
// `npm run dev` proxies to a running Corliss (CORLISS_URL, else the default address).
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env.CORLISS_URL ?? "http://127.0.0.1:7070";
const proxied = ["/api", "/ajax-api", "/model-versions", "/v1", "/v2", "/healthz", "/readyz"];

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The content security policy forbids data: scripts and styles, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: Object.fromEntries(proxied.map((path) => [path, { target: server }])) },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
