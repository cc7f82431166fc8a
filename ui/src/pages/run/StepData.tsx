import { Link } from "@tanstack/react-router";
import type { RunDetail, StepView } from "../../api/runs";
import { Empty } from "../../components/Notice";
import { Table } from "../../components/Table";
import { shortId } from "../../lib/format";

function Version({ version, waiting }: { version: string | null | undefined; waiting: string }) {
  if (!version) return <span className="faint">{waiting}</span>;
  return <Link to="/data/versions/$version" params={{ version }} title={version} className="id">{shortId(version)}</Link>;
}

export function StepData({ run, step }: { run: RunDetail; step: StepView }) {
  if (step.inputs.length === 0 && step.outputs.length === 0) return <Empty title="This step takes and gives no data" />;
  return (
    <>
      {step.inputs.length > 0 && (
        <Table
          label="Inputs"
          rows={step.inputs}
          rowKey={(input) => input.name}
          columns={[
            { head: "Input", cell: (input) => <b>{input.name}</b> },
            { head: "From", cell: (input) => input.from, wide: true },
            { head: "Version", cell: (input) => <Version version={input.version} waiting="not made yet" /> },
          ]}
        />
      )}
      {step.outputs.length > 0 && (
        <Table
          label="Outputs"
          rows={step.outputs}
          rowKey={(output) => output.name}
          columns={[
            { head: "Output", cell: (output) => <b>{output.name}</b>, wide: true },
            { head: "Version", cell: (output) => <Version version={output.version} waiting="not published yet" /> },
          ]}
        />
      )}
      {step.cached_from && (
        <p className="soft">
          Taken from <Link to="/runs/$id" params={{ id: step.cached_from }}>{shortId(step.cached_from)}</Link>
          {step.cached_from === run.id ? "" : ", which ran the same command on the same code and inputs"}.
        </p>
      )}
    </>
  );
}
