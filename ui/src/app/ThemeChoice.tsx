import { Icon, type IconName } from "../components/Icon";
import { setTheme, useTheme, type Theme } from "../lib/theme";

const CHOICES: [Theme, string, IconName][] = [
  ["system", "As the system", "system"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

export function ThemeChoice() {
  const theme = useTheme();
  return (
    <div className="theme-choice" role="group" aria-label="Theme">
      {CHOICES.map(([value, label, icon]) => (
        <button key={value} type="button" aria-pressed={theme === value} aria-label={label} title={label} data-theme-choice={value} onClick={() => setTheme(value)}>
          <Icon name={icon} />
        </button>
      ))}
    </div>
  );
}
