import { CircleHelp, Moon, Sun } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Kbd } from "@/ui/kbd";
import { SCREENS, type Screen, useScreen } from "./route";
import { handleShortcut, type Shortcut, shortcutsNow, useShortcut } from "./shortcuts";
import { useTheme } from "./theme";

const NAMES: Record<Screen, string> = {
  live: "Live",
  chat: "Chat",
  policies: "Policies",
  tenants: "Tenants",
  keys: "Keys",
  audit: "Audit log",
};

/** What is around every screen: name, navigation, theme, help. `status` stands beside the navigation. */
export function Shell({ status, children }: { status: ReactNode; children: ReactNode }) {
  const screen = useScreen();
  const { theme, toggle } = useTheme();
  const [help, setHelp] = useState<Shortcut[] | null>(null);
  useEffect(() => {
    document.addEventListener("keydown", handleShortcut);
    return () => document.removeEventListener("keydown", handleShortcut);
  }, []);
  useShortcut("?", "Show this help", () => setHelp(shortcutsNow()));
  return (
    <>
      <Button
        kind="quiet"
        className="sr-only focus:not-sr-only"
        onClick={() => document.getElementById("main")?.focus()}
      >
        Skip to the content
      </Button>
      <header className="z-30 border-b border-line bg-panel sm:sticky sm:top-0">
        <div className="mx-auto flex max-w-[100rem] flex-wrap items-center gap-x-5 gap-y-1 px-4 py-2">
          <p className="order-1 flex items-center gap-2 text-lg font-bold">
            <img src="/icon.svg" alt="" className="size-6" />
            Sluice
          </p>
          <nav aria-label="Screens" className="order-3 -mx-1 flex w-full gap-1 overflow-x-auto lg:order-2 lg:w-auto">
            {SCREENS.map((each) => (
              <a
                key={each}
                href={`#/${each}`}
                aria-current={screen === each ? "page" : undefined}
                ref={screen === each ? intoSight : undefined}
                className="rounded-md px-2.5 py-1.5 whitespace-nowrap text-quiet hover:text-text aria-[current]:bg-raised aria-[current]:font-semibold aria-[current]:text-text"
              >
                {NAMES[each]}
              </a>
            ))}
          </nav>
          <div className="order-4 flex w-full flex-wrap items-center justify-between gap-2 lg:order-3 lg:ml-auto lg:w-auto">
            {status}
          </div>
          <div className="order-2 ml-auto flex gap-2 lg:order-4 lg:ml-0">
            <Button
              kind="quiet"
              size="icon"
              onClick={toggle}
              aria-label={`Use the ${theme === "dark" ? "light" : "dark"} theme`}
            >
              {theme === "dark" ? <Sun aria-hidden className="size-5" /> : <Moon aria-hidden className="size-5" />}
            </Button>
            <Button kind="quiet" size="icon" onClick={() => setHelp(shortcutsNow())} aria-label="Keyboard shortcuts">
              <CircleHelp aria-hidden className="size-5" />
            </Button>
          </div>
        </div>
      </header>
      <main id="main" tabIndex={-1} className="mx-auto max-w-[100rem] p-4 outline-none">
        <h1 className="sr-only">{NAMES[screen]}</h1>
        {children}
      </main>
      <Dialog open={help !== null} onOpenChange={(open) => !open && setHelp(null)} title="Keyboard shortcuts">
        <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2">
          {help?.map((each) => (
            <div key={each.key} className="contents">
              <dt>
                <Kbd>{each.key === "escape" ? "Esc" : each.key.toUpperCase()}</Kbd>
              </dt>
              <dd>{each.does}</dd>
            </div>
          ))}
          <dt>
            <Kbd>Esc</Kbd>
          </dt>
          <dd>Close what is open</dd>
        </dl>
      </Dialog>
    </>
  );
}

/** On a narrow screen the navigation scrolls sideways. */
function intoSight(link: HTMLElement | null): void {
  link?.scrollIntoView?.({ inline: "center", block: "nearest" });
}
