// The frame of every page: rail of destinations, banner when the server is lost, shortcuts.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { request } from "../api/client";
import { session, type Session } from "../api/session";
import { Icon } from "../components/Icon";
import { Mark } from "../components/Mark";
import { SESSION } from "../lib/queries";
import { LostBanner } from "./LostBanner";
import { PLACES } from "./places";
import { Shortcuts } from "./Shortcuts";
import { ThemeChoice } from "./ThemeChoice";

const HEARTBEAT_MS = 5000;

export function Shell({ user }: { user: Session }) {
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    // A new page starts at its top, for the eye and for the screen reader.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    window.scrollTo(0, 0);
  }, [path]);
  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
      <header className={open ? "rail open" : "rail"}>
        <div className="rail-top">
          <Link to="/" className="brand" activeOptions={{ exact: true }}><Mark size={30} /><span>Corliss</span></Link>
          <button type="button" className="rail-menu" aria-expanded={open} aria-controls="places" onClick={() => setOpen(!open)}>
            <Icon name="menu" /><span className="hidden-text">Menu</span>
          </button>
        </div>
        <nav id="places" aria-label="Console">
          {PLACES.map((place) => (
            <Link key={place.to} to={place.to} className="place" activeOptions={{ exact: place.to === "/" }}>
              <Icon name={place.icon} />{place.label}
            </Link>
          ))}
        </nav>
        <RailFoot user={user} />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <LostBanner />
        <Outlet />
      </main>
      <Shortcuts />
    </div>
  );
}

function RailFoot({ user }: { user: Session }) {
  const client = useQueryClient();
  // Doubles as the heartbeat behind the banner: it is public, small and on every page.
  const version = useQuery({
    queryKey: ["version"],
    queryFn: () => request<{ version: string }>("/api/v1/version"),
    refetchInterval: HEARTBEAT_MS,
  });
  const leave = (): void => {
    const done = (): void => void client.setQueryData(SESSION, null);
    session.signOut().then(done, done);
  };
  return (
    <div className="rail-foot">
      <ThemeChoice />
      <p>
        <span className="rail-user" title={user.name}>{user.name}</span> <span className="rail-user rail-faint">{user.role.replaceAll("_", " ")}</span>
      </p>
      <p className="rail-faint">
        {version.data ? `Corliss ${version.data.version}` : "Corliss"} · <button type="button" onClick={leave}>Sign out</button>
      </p>
    </div>
  );
}
