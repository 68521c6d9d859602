import { Toast as Base } from "@base-ui/react/toast";
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "./button";

const manager = Base.createToastManager();

/** Says something shortly, from anywhere; screen readers read it. */
export function toast(title: string, description?: string): void {
  manager.add(description === undefined ? { title } : { title, description });
}

export function Toasts({ children }: { children: ReactNode }) {
  return (
    <Base.Provider toastManager={manager}>
      {children}
      <Base.Portal>
        <Base.Viewport className="fixed right-4 bottom-4 z-50 flex w-[min(24rem,calc(100vw-2rem))] flex-col gap-2">
          <Shown />
        </Base.Viewport>
      </Base.Portal>
    </Base.Provider>
  );
}

function Shown() {
  const { toasts } = Base.useToastManager();
  return toasts.map((each) => (
    <Base.Root key={each.id} toast={each} className="rounded-md border border-line-strong bg-panel p-3 shadow-lg">
      <Base.Content className="flex items-start justify-between gap-3">
        <div>
          <Base.Title className="font-medium" />
          <Base.Description className="text-sm text-quiet" />
        </div>
        <Base.Close render={<Button kind="quiet" size="small" aria-label="Dismiss" />}>
          <X aria-hidden className="size-4" />
        </Base.Close>
      </Base.Content>
    </Base.Root>
  ));
}
