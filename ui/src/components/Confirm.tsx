// A button whose action is asked about first; errors stay in the dialog, with what to do.
import { useMutation } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Dialog } from "./Dialog";
import { Icon, type IconName } from "./Icon";
import { ErrorNote } from "./Notice";

interface Props {
  label: string;
  title: string;
  children: ReactNode;
  confirm: string;
  danger?: boolean;
  /** In a list of many the button is only this, with the label for who does not see it. */
  icon?: IconName;
  disabled?: boolean;
  action: () => Promise<unknown>;
}

export function Confirm({ label, title, children, confirm, danger, icon, disabled, action }: Props) {
  const [open, setOpen] = useState(false);
  const mutation = useMutation({ mutationFn: action, onSuccess: () => setOpen(false) });
  const show = (): void => {
    mutation.reset();
    setOpen(true);
  };
  return (
    <>
      {icon ? <button type="button" className="button-icon" aria-label={label} title={label} disabled={disabled} onClick={show}><Icon name={icon} /></button>
        : <button type="button" className="button" disabled={disabled} onClick={show}>{label}</button>}
      {open && (
        <Dialog title={title} onClose={() => setOpen(false)}>
          <div className="dialog-body">{children}</div>
          {mutation.isError && <ErrorNote error={mutation.error} />}
          <div className="dialog-actions">
            <button type="button" className="button" onClick={() => setOpen(false)}>Back</button>
            <button
              type="button"
              className={danger ? "button button-bad" : "button button-main"}
              disabled={mutation.isPending}
              onClick={() => mutation.mutate()}
            >
              {confirm}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
