// Try a predictive model: the request as JSON, the answer as a table.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { infer, metadata, type InferAnswer, type ModelMetadata, type TensorAnswer } from "../../../api/inference";
import { Copy } from "../../../components/Command";
import { ErrorNote, Skeleton } from "../../../components/Notice";
import { duration, metric } from "../../../lib/format";
import { curlInfer } from "./snippets";
import { answerRows, formatRequest, jsonProblem, type AnswerRow } from "./tensors";

export function Infer({ name }: { name: string }) {
  const query = useQuery({ queryKey: ["metadata", name], queryFn: () => metadata(name), staleTime: 60_000 });
  if (query.isPending) return <Skeleton lines={6} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return <Editor key={name} name={name} model={query.data} />;
}

interface Timed {
  answer: InferAnswer;
  took_ms: number;
}

function Editor({ name, model }: { name: string; model: ModelMetadata }) {
  const example = formatRequest(model);
  const [text, setText] = useState(example);
  const problem = jsonProblem(text);
  const call = useMutation({
    mutationFn: async (body: string): Promise<Timed> => {
      const start = performance.now();
      const answer = await infer(name, body);
      return { answer, took_ms: performance.now() - start };
    },
  });
  const edit = (request: string): void => {
    setText(request);
    // It was about the request before.
    if (call.isError) call.reset();
  };
  const ask = (): void => {
    if (problem === undefined && !call.isPending) call.mutate(text);
  };
  return (
    <div className="try">
      <div>
        <label htmlFor="infer-request">Request <span className="faint">{(model.inputs ?? []).map(signature).join(", ")}</span></label>
        <textarea
          id="infer-request"
          className="code"
          spellCheck={false}
          rows={14}
          value={text}
          aria-invalid={problem !== undefined}
          aria-describedby="infer-problem"
          onChange={(event) => edit(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
          }}
        />
        <p id="infer-problem" className="tone-bad" role="status">{problem ?? ""}</p>
        <div className="toolbar">
          <button type="button" className="button button-main" disabled={problem !== undefined || call.isPending} onClick={ask}>
            {call.isPending ? "Asking…" : "Infer"}
          </button>
          <button type="button" className="button" disabled={text === example} onClick={() => edit(example)}>Reset</button>
          {problem === undefined && <span>curl <Copy text={curlInfer(window.location.origin, name, text)} label="Copy as curl" /></span>}
          <span className="faint">Ctrl+Enter sends</span>
        </div>
      </div>
      <div aria-live="polite">
        {call.isError ? <ErrorNote error={call.error} /> : call.data ? <Answer {...call.data} /> : (
          <p className="soft">The answer appears here: {(model.outputs ?? []).map(signature).join(", ") || "the model's outputs"}.</p>
        )}
      </div>
    </div>
  );
}

const signature = (tensor: { name: string; datatype: string; shape: number[] }): string =>
  `${tensor.name} ${tensor.datatype}[${tensor.shape.map((size) => (size < 0 ? "any" : size)).join(" × ")}]`;

function Answer({ answer, took_ms }: Timed) {
  return (
    <>
      <p className="answer-head">
        <b className="number">{duration(took_ms)}</b> round trip
        {answer.model_version && <span className="faint"> by version {answer.model_version}</span>}
      </p>
      {answer.outputs.map((output) => <Output key={output.name} output={output} />)}
      <details className="file"><summary>Answer as JSON</summary><pre tabIndex={0}>{JSON.stringify(answer, null, 2)}</pre></details>
    </>
  );
}

function Output({ output }: { output: TensorAnswer }) {
  const { rows, left, zero } = answerRows(output);
  return (
    <div className="output">
      <h3>{output.name} <span className="faint">{output.datatype}[{output.shape.join(" × ")}]</span></h3>
      <table>
        <tbody>
          {rows.map((row) => (
            <tr key={row.index} className={row.top ? "top" : undefined}>
              <th scope="row" className="number">{row.index}</th>
              <td className="number">{typeof row.value === "number" ? metric(row.value) : String(row.value)}</td>
              <td className="output-bar" aria-hidden="true">{row.bar && <Bar bar={row.bar} zero={zero} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && <p className="faint">{left} more values in the JSON below.</p>}
    </div>
  );
}

const percent = (share: number): string => `${share * 100}%`;

function Bar({ bar, zero }: { bar: NonNullable<AnswerRow["bar"]>; zero: number }) {
  return (
    <span className="output-scale">
      {zero > 0 && <span className="output-zero" style={{ left: percent(zero) }} />}
      <i style={{ marginLeft: percent(bar.from), width: percent(bar.width) }} />
    </span>
  );
}
