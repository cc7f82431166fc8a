import { metric } from "../../lib/format";
import { extentOf, type Curve } from "./curves";

/** The chart as a table, for those who do not see it. */
export function LastValues({ id, name, runs }: { id: string; name: string; runs: { name: string; curve: Curve }[] }) {
  return (
    <div className="hidden-text" id={id}>
      <table>
        <caption>{name}</caption>
        <thead><tr><th scope="col">Run</th><th scope="col">Last</th><th scope="col">Least</th><th scope="col">Greatest</th></tr></thead>
        <tbody>
          {runs.map((run, index) => {
            const extent = extentOf(run.curve);
            return <tr key={index}><th scope="row">{run.name}</th>{extent ? <><td>{metric(extent.last)}</td><td>{metric(extent.least)}</td><td>{metric(extent.most)}</td></> : <td colSpan={3}>no values</td>}</tr>;
          })}
        </tbody>
      </table>
    </div>
  );
}
