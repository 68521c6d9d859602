import { Send, Square } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { AddKey } from "@/traffic/AddKey";
import { usePersonas } from "@/traffic/personas";
import { useModels } from "@/traffic/useModels";
import { Button } from "@/ui/button";
import { Field, TextArea } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { Select } from "@/ui/select";
import { again, forget, say, useConversation, type With } from "./conversation";
import { TurnView } from "./TurnView";

/** A conversation with any model as anybody whose key is here; what the limits say is told in words. */
export function ChatPage() {
  const personas = usePersonas();
  const [chosen, setChosen] = useState("");
  const [chosenModel, setChosenModel] = useState("");
  const persona =
    personas.find(({ id }) => id === chosen) ?? personas.find(({ band }) => band === "standard") ?? personas[0];
  const { models, failure } = useModels(persona ?? null);
  const model = models.includes(chosenModel) ? chosenModel : (models[0] ?? "");
  const whom = persona && model ? { persona, model } : null;
  return (
    <Panel
      title="Chat"
      className="mx-auto flex min-h-[calc(100dvh-7rem)] max-w-4xl flex-col"
      actions={
        <div className="flex flex-wrap items-center gap-2">
          <Select
            label="Send as"
            value={persona?.id ?? ""}
            onChange={setChosen}
            options={personas.map(({ id, name, band }) => ({ value: id, label: `${name} (${band})` }))}
            className="w-56"
          />
          <Select
            label="Model"
            value={model}
            onChange={setChosenModel}
            options={models.map((value) => ({ value, label: value }))}
            className="w-40"
          />
          <AddKey added={setChosen} />
        </div>
      }
    >
      {failure && (
        <p role="alert" className="mb-2 text-denied">
          The models cannot be listed: {failure}
        </p>
      )}
      <Turns whom={whom} />
      <Composer whom={whom} />
    </Panel>
  );
}

function Turns({ whom }: { whom: With | null }) {
  const { turns, stop } = useConversation();
  const end = useRef<HTMLDivElement>(null);
  const length = turns.at(-1)?.text.length ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever something was added, it is brought into sight
  useEffect(() => {
    end.current?.scrollIntoView?.({ block: "nearest" });
  }, [turns.length, length]);
  return (
    <div role="log" aria-label="Conversation" aria-busy={stop !== null} className="flex flex-1 flex-col gap-3 pb-4">
      {turns.length === 0 && (
        <p className="m-auto max-w-md text-center text-quiet">
          Every message is a real request with the key of whom you chose: it counts in that key's limits, waits in that
          band's queue, and is answered by a real replica. Send a few quickly to meet a limit.
        </p>
      )}
      {turns.map((turn, at) => (
        <TurnView key={turn.id} turn={turn} onAgain={whom && at === turns.length - 1 ? () => void again(whom) : null} />
      ))}
      <div ref={end} className="scroll-mb-60" /> {/* the composer stands before what is behind it */}
    </div>
  );
}

function Composer({ whom }: { whom: With | null }) {
  const { turns, stop } = useConversation();
  const [text, setText] = useState("");
  const submit = () => {
    if (!whom || stop || text.trim() === "") return;
    setText("");
    void say(text, whom);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter may also end what an input method composes.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      className="sticky bottom-0 -mx-4 -mb-4 flex flex-col gap-2 rounded-b-lg border-t border-line bg-panel p-4"
    >
      <Field label="Message" hint="Enter sends, Shift and Enter begins a new line.">
        <TextArea
          rows={2}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          className="min-h-16"
        />
      </Field>
      <div className="flex items-center justify-between gap-2">
        <Button kind="quiet" size="small" disabled={turns.length === 0} onClick={forget}>
          New conversation
        </Button>
        {stop ? (
          <Button kind="danger" onClick={stop}>
            <Square aria-hidden className="size-4" />
            Stop
          </Button>
        ) : (
          <Button type="submit" kind="primary" disabled={!whom || text.trim() === ""}>
            <Send aria-hidden className="size-4" />
            Send
          </Button>
        )}
      </div>
    </form>
  );
}
