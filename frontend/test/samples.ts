/** Entities as the server tells of them, for tests. */
import type { AuditView, DryRun, KeyView, PolicyView, TenantView, UsageWindow } from "@/admin/types";

export const FILE_POLICY: PolicyView = {
  name: "standard-rate",
  scope: "TENANT",
  unit: "requests",
  limit: 60,
  window: "1m",
  match: { tenant: null, user: null, api_key: null, model: null, model_tier: null, qos_tier: ["standard"] },
  per: [],
  mode: "enforce",
  on_redis_failure: "deny",
  block: null,
  shards: 1,
  source: "config",
  version: 0,
  problem: null,
};

export const API_POLICY: PolicyView = {
  ...FILE_POLICY,
  name: "acme-burst",
  limit: 100,
  window: "10s",
  match: { ...FILE_POLICY.match, tenant: ["acme"], qos_tier: null },
  source: "api",
  version: 12,
};

export const WINDOW: UsageWindow = {
  policy: "standard-rate",
  scope: "TENANT",
  subject: "globex",
  unit: "requests",
  limit: 60,
  window_s: 60,
  used: 45,
  remaining: 15,
  reset_after_s: 41.3,
  enforced: true,
  shard: null,
};

export const DRY_RUN: DryRun = {
  source: "acme-burst",
  unit: "requests",
  limit: 5,
  window_s: 10,
  complete: true,
  subjects: 1,
  subjects_denied: 1,
  requests: 42,
  cost: 42,
  denied: 7,
  denied_cost: 7,
  from: "2026-01-01T12:00:00Z",
  to: "2026-01-01T12:00:09.500000Z",
  first: null,
  worst: [
    {
      subject: "acme",
      requests: 42,
      cost: 42,
      denied: 7,
      denied_cost: 7,
      first_denied_at: "2026-01-01T12:00:03.123000Z",
      from: "2026-01-01T12:00:00Z",
      to: "2026-01-01T12:00:09.500000Z",
    },
  ],
  notes: [
    "A request that was denied by it or by any other policy is in no log, so how it would have fared is not known.",
  ],
};

export const TENANT: TenantView = {
  name: "acme",
  qos_tier: "premium",
  weight: 2,
  source: "api",
  version: 12,
  problem: null,
};

export const KEY: KeyView = {
  id: "Ab3dEf6hIj9kLm2n",
  user: "paula",
  role: "inference",
  models: ["sim-small"],
  expires_at: "2099-01-01T00:00:00Z",
  revoked: false,
  previous_until: null,
  demo: false,
  source: "api",
  version: 12,
  problem: null,
};

export const ADMIN_KEY: KeyView = {
  ...KEY,
  id: "demo-admin",
  user: "ada",
  role: "admin",
  models: null,
  demo: true,
  source: "config",
};
export const OPERATOR_KEY: KeyView = { ...KEY, id: "Op3rat0r", user: "otto", role: "operator", models: null };

export const CHANGE: AuditView = {
  version: 12,
  at: "2026-01-01T12:00:00.123000Z",
  actor: { api_key: "demo-admin", user: "ada", tenant: "platform" },
  action: "update",
  kind: "policies",
  name: "acme-burst",
  before: { name: "acme-burst", scope: "TENANT", limit: 10, window: "10s" },
  after: { name: "acme-burst", scope: "TENANT", limit: 100, window: "10s" },
};
