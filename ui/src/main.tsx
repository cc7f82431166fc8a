// Starts the console: takes a sign-in token or an mlflow client's link out of the address first, then draws.
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { makeQueryClient } from "./lib/queries";
import { followClientLink } from "./lib/clientLink";
import { takeToken } from "./lib/token";
import { makeRouter } from "./routes";
import "./styles/index.css";

const link = takeToken();
followClientLink();
const client = makeQueryClient();
const router = makeRouter(link);
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
