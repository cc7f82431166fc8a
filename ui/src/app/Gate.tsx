// Lets signed-in people through and shows everyone else the way in.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ApiError } from "../api/errors";
import { session, type Session } from "../api/session";
import { ErrorNote } from "../components/Notice";
import { SESSION } from "../lib/queries";
import { takeToken } from "../lib/token";
import { SignIn } from "../pages/signin/SignIn";
import { Shell } from "./Shell";

async function current(): Promise<Session | null> {
  try {
    return await session.current();
  } catch (error) {
    if (error instanceof ApiError && error.signedOut) return null;
    throw error;
  }
}

/** `link` is the token of the terminal's sign-in link, taken from the address before anything was drawn. */
export function Gate({ link }: { link: string | undefined }) {
  const client = useQueryClient();
  const signIn = useMutation({
    mutationFn: session.signIn,
    onSuccess: (user) => {
      // What an earlier user saw is not for this one.
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== SESSION[0] });
      client.setQueryData<Session | null>(SESSION, user);
    },
  });
  const { mutate } = signIn;
  const tried = useRef(false);
  useEffect(() => {
    if (link !== undefined && !tried.current) {
      tried.current = true;
      mutate(link);
    }
    // The link may also be opened in a tab where the console runs already: only the fragment changes then.
    const changed = (): void => {
      const token = takeToken();
      if (token !== undefined) mutate(token);
    };
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, [link, mutate]);

  const linkPending = link !== undefined && (signIn.isPending || signIn.isIdle);
  const who = useQuery({ queryKey: SESSION, queryFn: current, enabled: !linkPending, staleTime: 60_000 });
  if (linkPending) return <div className="gate" role="status"><p className="soft">Signing in…</p></div>;
  if (who.data) return <Shell user={who.data} />;
  if (who.isPending) return <div className="gate" role="status"><span className="hidden-text">Loading</span></div>;
  if (who.isError) return <div className="gate"><ErrorNote error={who.error} retry={() => void who.refetch()} /></div>;
  return <SignIn pending={signIn.isPending} error={signIn.error} onToken={(token) => mutate(token)} />;
}
