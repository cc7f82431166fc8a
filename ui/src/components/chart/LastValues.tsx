import { metric } from "../../lib/format";
import { extentOf, type Curve } from "./curves";

interface Props {
  id: string;
  name: string;
  runs: { name: string; curve: Pick<Curve, "y"> }[];
  /** What a row is. */
  head?: string;
  text?: (value: number) => string;
}

/** The chart as a table, for those who do not see it. */
export function LastValues({ id, name, runs, head = "Run", text = metric }: Props) {
  return (
    <div className="hidden-text" id={id}>
      <table>
        <caption>{name}</caption>
        <thead><tr><th scope="col">{head}</th><th scope="col">Last</th><th scope="col">Least</th><th scope="col">Greatest</th></tr></thead>
        <tbody>
          {runs.map((run, index) => {
            const extent = extentOf(run.curve);
            return <tr key={index}><th scope="row">{run.name}</th>{extent ? <><td>{text(extent.last)}</td><td>{text(extent.least)}</td><td>{text(extent.most)}</td></> : <td colSpan={3}>no values</td>}</tr>;
          })}
        </tbody>
      </table>
    </div>
  );
}
