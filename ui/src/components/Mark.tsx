// The mark: the flywheel of the engine, seen along its shaft.
export function Mark({ size = 28, className }: { size?: number; className?: string }) {
  const spokes = [0, 60, 120, 180, 240, 300];
  return (
    <svg className={className} width={size} height={size} viewBox="0 0 32 32" fill="none" stroke="currentColor" aria-hidden="true">
      <circle cx="16" cy="16" r="13.6" strokeWidth="2.6" />
      <circle cx="16" cy="16" r="10.7" strokeWidth="0.6" />
      {spokes.map((angle) => (
        <path key={angle} d="M15 12.2 15.4 5.6h1.2L17 12.2z" fill="currentColor" stroke="none" transform={`rotate(${angle} 16 16)`} />
      ))}
      <circle cx="16" cy="16" r="3.6" strokeWidth="1.5" />
      <circle cx="16" cy="16" r="1.2" fill="currentColor" stroke="none" />
    </svg>
  );
}
