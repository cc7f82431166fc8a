// What the signed-in user may do, to leave out what the server would refuse. The server decides all the same.
import { useQueryClient } from "@tanstack/react-query";
import type { Session } from "../api/session";
import { SESSION } from "./queries";

/** Everybody but a task's own token: see docs/reference/roles.md. */
export const mayWriteData = (role: string | undefined): boolean => role !== undefined && role !== "workload";

/** Those who decide what is served: see docs/reference/roles.md. */
export const mayPromote = (role: string | undefined): boolean => role === "ml-engineer" || role === "platform-admin";

/** Those who deploy endpoints and say how their requests are routed: see docs/reference/roles.md. */
export const mayServe = (role: string | undefined): boolean => role === "ml-engineer" || role === "platform-admin";

/** Those who say which models need approval: see docs/reference/roles.md. */
export const mayProtect = (role: string | undefined): boolean => role === "platform-admin";

const useRole = (): string | undefined => useQueryClient().getQueryData<Session | null>(SESSION)?.role;

export const useMayPromote = (): boolean => mayPromote(useRole());

export const useMayServe = (): boolean => mayServe(useRole());

export const useMayProtect = (): boolean => mayProtect(useRole());

export const useMayWriteData = (): boolean => mayWriteData(useRole());
