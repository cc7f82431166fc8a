import type { Release } from "../../../api/releases";
import { Table } from "../../../components/Table";
import { count } from "../../../lib/format";
import { micros } from "../requests/words";
import { errors, gets } from "./words";

/** Both versions side by side, while a release goes on. */
export function Compared({ release }: { release: Release }) {
  const copied = release.versions.some((one) => one.same !== undefined);
  return (
    <Table
      label="Versions of the release"
      rows={release.versions}
      rowKey={(one) => String(one.version)}
      columns={[
        { head: "Version", cell: (one) => <>{one.version}{one.version === release.to_version && <span className="faint"> new</span>}</> },
        { head: "Gets", cell: (one) => gets(release, one.version) },
        { head: "Ready", cell: (one) => one.replicas_ready, number: true },
        { head: "Requests", cell: (one) => count(one.requests), number: true },
        { head: "Errors", cell: (one) => errors(one), number: true },
        { head: "p99", cell: (one) => micros(one.p99_us), number: true },
        { head: "First, p99", cell: (one) => micros(one.first_token_p99_us), number: true },
        ...(copied ? [{ head: "Answered alike", cell: (one: Release["versions"][number]) => (one.same === undefined ? <span className="faint">–</span> : `${count(one.same)} of ${count(one.same + (one.different ?? 0))}`), number: true }] : []),
      ]}
    />
  );
}

/** The steps that have ended, with what was seen in them. */
export function Steps({ release }: { release: Release }) {
  if (release.steps.length === 0) return null;
  return (
    <Table
      label={`Steps of the release of version ${release.to_version}`}
      rows={release.steps}
      rowKey={(one) => String(one.step)}
      columns={[
        { head: "Step", cell: (one) => `${one.step + 1} of ${release.steps_total}` },
        { head: "Gave", cell: (one) => (one.copies > 0 ? `copies of ${one.copies} %` : `${one.percent} %`) },
        { head: "New: requests", cell: (one) => count(one.new.requests), number: true },
        { head: "Errors", cell: (one) => errors(one.new), number: true },
        { head: "p99", cell: (one) => micros(one.new.p99_us), number: true },
        { head: "Old, in all: requests", cell: (one) => count(one.old.requests), number: true },
        { head: "Errors", cell: (one) => errors(one.old), number: true },
        { head: "p99", cell: (one) => micros(one.old.p99_us), number: true },
      ]}
    />
  );
}
