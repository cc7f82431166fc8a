// What people said of a version, and saying it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { models, type Decision, type Protection, type VersionDetail } from "../../api/models";
import { Dialog } from "../../components/Dialog";
import { ErrorNote } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { useMayPromote } from "../../lib/may";

type Word = "approved" | "rejected";

export function Approval({ name, version, protection }: { name: string; version: VersionDetail; protection: Protection | undefined }) {
  const [word, setWord] = useState<Word | undefined>(undefined);
  const may = useMayPromote();
  if (protection === undefined && version.decisions.length === 0) return null;
  const missing = version.missing_approval;
  return (
    <Panel title="Approval">
      <p>{missing !== undefined ? `It ${missing}.` : protection !== undefined ? "It has the approvals that it needs." : "Nothing is demanded of it."}</p>
      {version.decisions.length > 0 && (
        <Table<Decision>
          label="What people said"
          rows={version.decisions}
          rowKey={(one) => one.actor}
          columns={[
            { head: "Who", cell: (one) => <bdi>{one.actor}</bdi> },
            { head: "Said", cell: (one) => <State state={one.approved ? "approved" : "rejected"} /> },
            { head: "Why", wide: true, cell: (one) => one.reason === "" ? <span className="faint">–</span> : <bdi>{one.reason}</bdi> },
            { head: "When", cell: (one) => <Ago at={one.decided_ms} /> },
          ]}
        />
      )}
      {may && (
        <div className="toolbar">
          <button type="button" className="button" onClick={() => setWord("approved")}>Approve</button>
          <button type="button" className="button" onClick={() => setWord("rejected")}>Reject</button>
        </div>
      )}
      {word && <DecideDialog name={name} version={version} word={word} onClose={() => setWord(undefined)} />}
    </Panel>
  );
}

function DecideDialog({ name, version, word, onClose }: { name: string; version: VersionDetail; word: Word; onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const mutation = useMutation({
    mutationFn: () => models.decide(name, version.version, word, reason.trim()),
    onSuccess: onClose,
    onSettled: () => client.invalidateQueries({ queryKey: ["model", name] }),
  });
  const rejects = word === "rejected";
  return (
    <Dialog title={`${rejects ? "Reject" : "Approve"} version ${version.version}?`} onClose={onClose}>
      <div className="dialog-body">
        <p>{rejects ? "It cannot be served or get a protected alias until you approve it. What it has already stays." : "It replaces what you said before."}</p>
        {!rejects && version.checked !== undefined && version.checked.damaged > 0 && <p className="message">It has a damaged file, so it is not served even when it is approved.</p>}
        <textarea rows={4} autoFocus aria-label="Why" placeholder={rejects ? "Why" : "Why (may be empty)"} value={reason} maxLength={1000} onChange={(event) => setReason(event.target.value)} />
      </div>
      {mutation.isError && <ErrorNote error={mutation.error} />}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>Back</button>
        <button type="button" className={rejects ? "button button-bad" : "button button-main"} disabled={mutation.isPending || (rejects && reason.trim() === "")} onClick={() => mutation.mutate()}>{rejects ? "Reject it" : "Approve it"}</button>
      </div>
    </Dialog>
  );
}
