import { useEffect, useState, type FormEvent } from "react";
import { ApiError } from "../../api/errors";
import { Command } from "../../components/Command";
import { Mark } from "../../components/Mark";
import { ErrorNote } from "../../components/Notice";

interface Props {
  pending: boolean;
  error: Error | null;
  onToken: (token: string) => void;
}

/** A refused token deserves better words than "unauthenticated". */
function explained(error: Error): Error {
  if (!(error instanceof ApiError) || !error.signedOut) return error;
  return new ApiError(401, { ...error.report, message: "this token is not valid here", hint: "Copy it again with the command below; it may have expired or belong to another home." });
}

export function SignIn({ pending, error, onToken }: Props) {
  const [token, setToken] = useState("");
  useEffect(() => {
    document.title = "Sign in · Corliss";
  }, []);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (token.trim() !== "") onToken(token.trim());
  };
  return (
    <main className="gate">
      <div className="signin">
        <Mark size={72} className="signin-mark" />
        <h1>Corliss</h1>
        <p className="soft">Open the link that <code>corliss up</code> printed, or paste a token.</p>
        <form onSubmit={submit}>
          <label htmlFor="token">Token</label>
          <input
            id="token"
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            autoFocus
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
          {error && <ErrorNote error={explained(error)} />}
          <button type="submit" className="button button-main" disabled={pending || token.trim() === ""}>
            {pending ? "Signing in…" : "Sign in"}
          </button>
        </form>
        <p className="soft">This shows the token of this machine's administrator; it is also in <code>~/.corliss/credentials</code>.</p>
        <Command text="corliss env" />
      </div>
    </main>
  );
}
