import { useEffect, type ReactNode } from "react";

interface Props {
  title: string;
  over?: ReactNode;
  facts?: ReactNode;
  actions?: ReactNode;
}

/** For links of `over`: they lead up from here, and only the page itself may be called the current one. */
export const CRUMB = { activeOptions: { exact: true } };

/** The head of a page: where it belongs, its name, facts on one line, its actions. */
export function PageHead({ title, over, facts, actions }: Props) {
  useEffect(() => {
    document.title = title === "Overview" ? "Corliss" : `${title} · Corliss`;
  }, [title]);
  return (
    <div className="page-head">
      <div>
        {over && <p className="over">{over}</p>}
        <h1>{title}</h1>
        {facts && <div className="facts">{facts}</div>}
      </div>
      {actions && <div className="actions">{actions}</div>}
    </div>
  );
}
