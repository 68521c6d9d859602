import { useQuery } from "@tanstack/react-query";
import type { Persona } from "./personas";
import { modelsOf } from "./world";

/** The models that this persona's key may use. What is remembered is named by the key's public id. */
export function useModels(persona: Persona | null): { models: readonly string[]; failure: string } {
  const { data, error } = useQuery({
    queryKey: ["models", persona?.id],
    queryFn: () => (persona ? modelsOf(persona) : []),
    enabled: persona !== null,
    staleTime: 30_000,
  });
  return { models: data ?? [], failure: error?.message ?? "" };
}
