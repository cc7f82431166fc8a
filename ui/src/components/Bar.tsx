interface Props {
  label: string;
  used: number;
  total: number;
  text: string;
}

/** How much of something is in use, as a gauge with its numbers beside it. */
export function Bar({ label, used, total, text }: Props) {
  const share = total > 0 ? Math.min(1, Math.max(0, used / total)) : 0;
  return (
    <div className="bar">
      <span className="bar-label">{label}</span>
      <span
        className="bar-track"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={used}
        aria-valuetext={text}
      >
        <i style={{ width: `${share * 100}%` }} />
      </span>
      <span className="bar-text number">{text}</span>
    </div>
  );
}
