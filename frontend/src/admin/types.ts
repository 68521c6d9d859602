/** The admin API's types by short names. */
import type { components } from "@/api/schema";

type Schemas = components["schemas"];

export type Policy = Schemas["RateLimitPolicy"];
/** A policy as the server tells of it, or as it is sent. */
export type AnyPolicy = Omit<Policy, "block"> & Partial<Pick<Policy, "block">>;
export type PolicyView = Schemas["PolicyView"];
export type Scope = Schemas["Scope"];
export type Unit = Schemas["Unit"];
export type Mode = Schemas["Mode"];
export type Dimension = Schemas["Dimension"];
export type Match = Schemas["Match"];
export type OnRedisFailure = Schemas["OnRedisFailure"];
export type DryRun = Schemas["DryRunReply"];
export type UsageWindow = Schemas["UsageWindow"];
export type TenantView = Schemas["TenantView"];
export type UserView = Schemas["UserView"];
export type KeyView = Schemas["KeyView"];
export type KeySettings = Schemas["KeySettings"];
export type Role = Schemas["Role"];
export type AuditView = Schemas["AuditView"];
export type Kind = Schemas["Kind"];
export type Sla = Schemas["SlaView"];
export type TenantSla = Schemas["TenantSla"];
export type Explained = Schemas["ExplainedPolicy"];

export const SCOPES: readonly Scope[] = ["GLOBAL", "TENANT", "API_KEY", "MODEL", "MODEL_TIER", "USER_MODEL"];
export const UNITS: readonly Unit[] = [
  "requests",
  "input_tokens",
  "output_tokens",
  "total_tokens",
  "concurrent_requests",
];
export const MODES: readonly Mode[] = ["enforce", "shadow", "off"];
export const DIMENSIONS: readonly Dimension[] = ["tenant", "user", "api_key", "model", "model_tier", "qos_tier"];
export const ROLES: readonly Role[] = ["inference", "operator", "admin", "gateway"];
export const KINDS: readonly Kind[] = ["policies", "tenants", "users", "keys", "models", "tiers"];
