import { Button as Base } from "@base-ui/react/button";
import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

const look = cva(
  "inline-flex cursor-pointer items-center justify-center gap-2 rounded-md font-medium whitespace-nowrap select-none disabled:cursor-not-allowed disabled:opacity-50 data-disabled:cursor-not-allowed data-disabled:opacity-50",
  {
    variants: {
      kind: {
        primary: "bg-accent text-accent-text hover:brightness-110",
        plain: "border border-line-strong bg-panel text-text hover:bg-raised",
        quiet: "text-text hover:bg-raised",
        danger: "border border-denied text-denied hover:bg-raised",
      },
      size: {
        small: "min-h-8 px-2.5 text-sm",
        normal: "min-h-9 px-3.5",
        large: "min-h-12 px-6 text-lg",
        icon: "size-9",
      },
    },
    defaultVariants: { kind: "plain", size: "normal" },
  },
);

type Props = ComponentProps<typeof Base> & VariantProps<typeof look> & { className?: string };

export function Button({ className, kind, size, ...props }: Props) {
  return <Base className={cn(look({ kind, size }), className)} {...props} />;
}
