import { describe, expect, it } from "vitest";
import { ApiError } from "@/api/errors";
import { isConflict, problemsOf } from "./problems";

const SHOWN = ["name", "limit", "window", "match.tenant", "block.denials"];

function refused(message: string, param: string | null = null, status = 422, code = "invalid_parameter"): ApiError {
  return new ApiError(status, { message, param, code });
}

describe("problemsOf", () => {
  it.each([
    [
      "a field",
      "body.limit: Input should be greater than 0 (got -1)",
      "limit",
      "Input should be greater than 0 (got -1)",
    ],
    ["a field of a dry run", "body.policy.window: '1w' is not a duration", "window", "'1w' is not a duration"],
    ["a place within a field", "body.match.tenant[0]: Too short", "match.tenant", "Too short"],
    ["a nested field", "body.block.denials: Input should be 1 or more", "block.denials", "Input should be 1 or more"],
  ])("puts %s where it stands", (_, message, field, words) => {
    expect(problemsOf(refused(message), SHOWN)).toEqual({ fields: { [field]: words }, general: [] });
  });

  it("tells each of several lines at its own place", () => {
    const problems = problemsOf(refused("body.name: Bad\nbody.limit: Worse\nbody.x: unknown key 'x'"), SHOWN);
    expect(problems.fields).toEqual({ name: "Bad", limit: "Worse" });
    expect(problems.general).toEqual(["body.x: unknown key 'x'"]);
  });

  it("follows `param` where the message names no field", () => {
    expect(problemsOf(refused("There is one already.", "name", 409), SHOWN).fields).toEqual({
      name: "There is one already.",
    });
  });

  it.each([
    ["window: missing; write how long", "body: window: missing; write how long", "invalid_parameter", "window"],
    ["Policy 'a' exists.", "Policy 'a' exists.", "already_exists", "name"],
    ["Policy 'a' names tenant 'b', which", "Policy 'a' names tenant 'b', which", "unknown_reference", "match.tenant"],
  ])("finds the place of: %s", (_, message, code, field) => {
    expect(Object.keys(problemsOf(refused(message, null, 422, code), SHOWN).fields)).toEqual([field]);
  });

  it("keeps what belongs to no field in the server's words", () => {
    const message = "Tenant 'acme' is in use: user 'paula' names it.";
    expect(problemsOf(refused(message, null, 409), SHOWN)).toEqual({ fields: {}, general: [message] });
  });

  it("tells what never reached the server", () => {
    expect(problemsOf(new TypeError("Failed to fetch"), SHOWN).general).toEqual(["Failed to fetch"]);
  });
});

it("knows a conflict of versions", () => {
  expect(isConflict(refused("", null, 412))).toBe(true);
  expect(isConflict(refused("", null, 409))).toBe(false);
  expect(isConflict(new Error("412"))).toBe(false);
});
