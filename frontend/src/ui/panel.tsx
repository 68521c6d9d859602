import { type ReactNode, useId } from "react";
import { cn } from "@/lib/cn";

interface Props {
  title: string;
  /** Beside the title, at the right. */
  actions?: ReactNode;
  className?: string;
  children: ReactNode;
}

/** A titled part of the screen: a landmark that screen readers can jump to. */
export function Panel({ title, actions, className, children }: Props) {
  const heading = useId();
  return (
    <section aria-labelledby={heading} className={cn("rounded-lg border border-line bg-panel p-4", className)}>
      <div className="mb-3 flex flex-wrap items-center justify-between gap-2">
        <h2 id={heading} className="font-semibold">
          {title}
        </h2>
        {actions}
      </div>
      {children}
    </section>
  );
}
