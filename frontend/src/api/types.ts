/** The server's types by short names; `schema.d.ts` is generated from its description. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type LiveHello = Schemas["LiveHello"];
export type LiveFrame = Schemas["LiveFrame"];
export type LiveEnd = Schemas["LiveEnd"];
export type LiveRequest = Schemas["LiveRequest"];
export type LiveEnding = Schemas["LiveEnding"];
export type LiveCounts = Schemas["LiveCounts"];
export type LivePool = Schemas["LivePool"];
export type LiveLog = Schemas["LiveLog"];
export type LogProfile = Schemas["LogProfile"];
export type WindowNow = Schemas["WindowNow"];
