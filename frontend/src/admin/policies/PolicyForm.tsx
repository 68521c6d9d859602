import { type ReactNode, type RefObject, useState } from "react";
import { Field, Input } from "@/ui/field";
import { Select } from "@/ui/select";
import { Switch } from "@/ui/switch";
import { Suggested } from "../Filter";
import { useKnown } from "../queries";
import { DIMENSIONS, type Dimension, MODES, type OnRedisFailure, SCOPES, UNITS } from "../types";
import type { Draft } from "./draft";
import { DIMENSION_WORDS, FAILURE_WORDS, MODE_WORDS, SCOPE_DIMENSIONS, SCOPE_WORDS, unitWords } from "./words";

const FAILURES: readonly OnRedisFailure[] = ["deny", "allow", "local"];

export type FieldsOf = "whole" | "change" | "override";

interface Props {
  draft: Draft;
  onChange: (changes: Partial<Draft>) => void;
  /** By field, such as `match.tenant`. */
  problems: Record<string, string>;
  /**
   * Which fields there are: all of a new policy; of one that is there, what may change without beginning a new log; of
   * an override, whom it is for and how much.
   */
  fields: FieldsOf;
  first: RefObject<HTMLInputElement | null>;
}

/** The fields of a policy. */
export function PolicyForm({ draft, onChange, problems, fields, first }: Props) {
  const whole = fields === "whole";
  const [limitFirst] = useState(() => !whole && !unnamed(fields, draft));
  return (
    <div className="flex flex-col gap-4">
      {whole && <Identity draft={draft} onChange={onChange} problems={problems} first={first} />}
      {fields === "override" && <Subject draft={draft} onChange={onChange} problems={problems} first={first} />}
      <Row>
        <Text
          label={draft.unit === "requests" ? "Limit" : `Limit, in ${unitWords(draft.unit)}`}
          hint="The most that a window may hold"
          value={draft.limit}
          onChange={(limit) => onChange({ limit })}
          error={problems["limit"]}
          input={limitFirst ? first : undefined}
          numeric
        />
        <Text
          label={draft.unit === "concurrent_requests" ? "Lease" : "Window"}
          hint={
            draft.unit === "concurrent_requests" ? "How long a dead process holds a slot" : "Such as 10s, 1m30s or 1d"
          }
          value={draft.window}
          onChange={(window) => onChange({ window })}
          error={problems["window"]}
        />
      </Row>
      {whole && <Conditions draft={draft} onChange={onChange} problems={problems} />}
      <Row>
        <Choice
          label="Mode"
          value={draft.mode}
          options={MODES}
          words={MODE_WORDS}
          onChange={(mode) => onChange({ mode })}
          error={problems["mode"]}
        />
        <Choice
          label="While Redis does not answer"
          value={draft.on_redis_failure}
          options={FAILURES}
          words={FAILURE_WORDS}
          onChange={(on_redis_failure) => onChange({ on_redis_failure })}
          error={problems["on_redis_failure"]}
        />
      </Row>
      <Block draft={draft} onChange={onChange} problems={problems} />
    </div>
  );
}

type PartProps = Pick<Props, "draft" | "onChange" | "problems">;

function Identity({ draft, onChange, problems, first }: PartProps & { first: Props["first"] }) {
  return (
    <>
      <Text
        label="Name"
        hint="A 429 names it. Letters, digits, and . _ - /"
        value={draft.name}
        onChange={(name) => onChange({ name })}
        error={problems["name"]}
        input={first}
      />
      <Row>
        <Choice
          label="Scope"
          value={draft.scope}
          options={SCOPES}
          words={SCOPE_WORDS}
          onChange={(scope) =>
            onChange({ scope, per: draft.per.filter((each) => !SCOPE_DIMENSIONS[scope].includes(each)) })
          }
          error={problems["scope"]}
        />
        <Choice
          label="Unit"
          value={draft.unit}
          options={UNITS}
          words={(unit) => unitWords(unit)}
          onChange={(unit) => onChange({ unit })}
          error={problems["unit"]}
        />
      </Row>
    </>
  );
}

/** Whether an override names nobody yet: that is the first thing to say then. */
function unnamed(fields: FieldsOf, { scope, match }: Draft): boolean {
  return fields === "override" && SCOPE_DIMENSIONS[scope].every((dimension) => match[dimension] === "");
}

function Subject({ draft, onChange, problems, first }: PartProps & { first: Props["first"] }) {
  const [begin] = useState(() => unnamed("override", draft));
  return (
    <>
      <Row>
        {SCOPE_DIMENSIONS[draft.scope].map((dimension, place) => (
          <Names
            key={dimension}
            dimension={dimension}
            value={draft.match[dimension]}
            onChange={(names) => onChange({ match: { ...draft.match, [dimension]: names } })}
            error={problems[`match.${dimension}`]}
            input={begin && place === 0 ? first : undefined}
          />
        ))}
      </Row>
      <Text
        label="Name of the policy"
        hint="A 429 names it. Letters, digits, and . _ - /"
        value={draft.name}
        onChange={(name) => onChange({ name })}
        error={problems["name"]}
      />
    </>
  );
}

interface NamesProps {
  dimension: Dimension;
  value: string;
  onChange: (names: string) => void;
  error?: string | undefined;
  input?: Props["first"] | undefined;
}

/** Whose limit an override is: typed, or chosen of those that there are. */
function Names({ dimension, value, onChange, error, input }: NamesProps) {
  const known = useKnown(dimension);
  return (
    <Suggested
      id={`override-${dimension}`}
      label={capital(DIMENSION_WORDS[dimension])}
      hint={dimension === "api_key" ? "The id of a key" : "One name, or several with commas between them"}
      value={value}
      onChange={onChange}
      known={known}
      error={error ?? null}
      {...(input && { input })}
    />
  );
}

function Conditions({ draft, onChange, problems }: PartProps) {
  const toggle = (dimension: Dimension, on: boolean) =>
    onChange({ per: on ? [...draft.per, dimension] : draft.per.filter((each) => each !== dimension) });
  return (
    <>
      <fieldset className="min-w-0 rounded-md border border-line p-3">
        <legend className="px-1 text-sm font-medium">Applies to</legend>
        <p className="mb-2 text-sm text-quiet">
          All conditions must hold; of several names with commas between them, any. Left empty: every request.
        </p>
        <div className="grid grid-cols-1 gap-x-3 gap-y-2 sm:grid-cols-2">
          {DIMENSIONS.map((dimension) => (
            <Text
              key={dimension}
              label={capital(DIMENSION_WORDS[dimension])}
              value={draft.match[dimension]}
              onChange={(names) => onChange({ match: { ...draft.match, [dimension]: names } })}
              error={problems[`match.${dimension}`]}
            />
          ))}
        </div>
      </fieldset>
      <fieldset className="min-w-0 rounded-md border border-line p-3">
        <legend className="px-1 text-sm font-medium">A window of its own for each</legend>
        <div className="flex flex-wrap gap-x-5 gap-y-2">
          {DIMENSIONS.map((dimension) => {
            const scoped = SCOPE_DIMENSIONS[draft.scope].includes(dimension);
            return (
              <label key={dimension} className="inline-flex items-center gap-2 text-sm">
                <input
                  type="checkbox"
                  className="size-4 accent-(--accent)"
                  checked={scoped || draft.per.includes(dimension)}
                  disabled={scoped}
                  onChange={(event) => toggle(dimension, event.target.checked)}
                />
                {DIMENSION_WORDS[dimension]}
                {scoped && <span className="text-quiet">(its scope)</span>}
              </label>
            );
          })}
        </div>
        {problems["per"] && (
          <p role="alert" className="mt-2 text-sm text-denied">
            {problems["per"]}
          </p>
        )}
      </fieldset>
    </>
  );
}

function Block({ draft, onChange, problems }: PartProps) {
  return (
    <fieldset className="min-w-0 rounded-md border border-line p-3">
      <legend className="px-1 text-sm font-medium">Abusive clients</legend>
      <Switch
        label="Block a subject that does not back off"
        checked={draft.blocks}
        onChange={(blocks) => onChange({ blocks })}
      />
      {draft.blocks && (
        <div className="mt-3 grid grid-cols-1 gap-3 sm:grid-cols-3">
          <Text
            label="After denials"
            value={draft.denials}
            onChange={(denials) => onChange({ denials })}
            error={problems["block.denials"]}
            numeric
          />
          <Text
            label="Within"
            value={draft.within}
            onChange={(within) => onChange({ within })}
            error={problems["block.within"]}
          />
          <Text
            label="Blocked for"
            value={draft.duration}
            onChange={(duration) => onChange({ duration })}
            error={problems["block.duration"]}
          />
        </div>
      )}
    </fieldset>
  );
}

function Row({ children }: { children: ReactNode }) {
  return <div className="grid grid-cols-1 items-start gap-4 sm:grid-cols-2">{children}</div>;
}

interface TextProps {
  label: string;
  hint?: string;
  value: string;
  onChange: (value: string) => void;
  error?: string | undefined;
  input?: RefObject<HTMLInputElement | null> | undefined;
  numeric?: boolean;
}

function Text({ label, hint, value, onChange, error, input, numeric = false }: TextProps) {
  return (
    <Field label={label} hint={hint} error={error ?? null}>
      <Input
        ref={input}
        autoComplete="off"
        spellCheck={false}
        inputMode={numeric ? "numeric" : "text"}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly T[];
  words: Record<T, string> | ((value: T) => string);
  onChange: (value: T) => void;
  error?: string | undefined;
}

export function Choice<T extends string>({ label, value, options, words, onChange, error }: ChoiceProps<T>) {
  const read = (each: T) => (typeof words === "function" ? words(each) : words[each]);
  return (
    <Field label={label} error={error ?? null}>
      <Select
        label={label}
        value={value}
        onChange={(next) => {
          const chosen = options.find((each) => each === next);
          if (chosen !== undefined) onChange(chosen);
        }}
        options={options.map((each) => ({ value: each, label: read(each) }))}
      />
    </Field>
  );
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
