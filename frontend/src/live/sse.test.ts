import { expect, test } from "vitest";
import { ApiError } from "@/api/errors";
import { events } from "./sse";

function streamed(chunks: Uint8Array[], init: ResponseInit = {}): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  return new Response(body, init);
}

async function collected(response: Response): Promise<string[]> {
  const found = [];
  for await (const event of events(response)) found.push(`${event.event}: ${event.data}`);
  return found;
}

const TEXT =
  'event: hello\ndata: {"tenant":"Bjørn & Søn"}\n\n: a comment\n\nevent: frame\r\ndata: {"number":1}\r\n\r\n';

test("events come whole, wherever the stream was cut", async () => {
  const bytes = new TextEncoder().encode(TEXT);
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
    expect(await collected(streamed(chunks))).toEqual(['hello: {"tenant":"Bjørn & Søn"}', 'frame: {"number":1}']);
  }
});

test("an event that the end cut off is none", async () => {
  const bytes = new TextEncoder().encode('event: frame\ndata: {"number":1}\n\nevent: frame\ndata: {"num');
  expect(await collected(streamed([bytes]))).toEqual(['frame: {"number":1}']);
});

test("a refusal is told in the server's words", async () => {
  const body = new TextEncoder().encode('{"error": {"message": "This API key is not known here."}}');
  const refused = collected(streamed([body], { status: 401 }));
  await expect(refused).rejects.toThrow(new ApiError(401, { message: "This API key is not known here." }));
});
