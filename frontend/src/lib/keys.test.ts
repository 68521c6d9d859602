import { expect, it } from "vitest";
import { publicId } from "./keys";

it.each([
  ["sk-Ab3dEf-0123456789abcdef", "Ab3dEf"],
  ["sk-Ab3dEf-0123_5678_abcdef", "Ab3dEf"],
  ["sk-demo-admin", "demo-admin"],
  ["sk-", ""],
  ["Ab3dEf-0123456789abcdef", ""],
  ["", ""],
])("of %s it is %s", (key, id) => {
  expect(publicId(key)).toBe(id);
});
