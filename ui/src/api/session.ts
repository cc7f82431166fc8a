import { request } from "./client";

export interface Session {
  name: string;
  role: string;
}

export const session = {
  current: () => request<Session>("/api/v1/session"),
  signIn: (token: string) => request<Session>("/api/v1/session", { method: "POST", body: { token } }),
  signOut: () => request<void>("/api/v1/session", { method: "DELETE" }),
};
