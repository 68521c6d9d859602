/** Server-sent events over `fetch`: unlike EventSource it can send a key, and sees the status of a refusal. */
import { type EventSourceMessage, EventSourceParserStream } from "eventsource-parser/stream";
import { ApiError, errorBody } from "@/api/errors";

/** The events of a stream, until it ends. Throws `ApiError` where the server refuses it. */
export async function* events(response: Response): AsyncGenerator<EventSourceMessage> {
  if (!response.ok)
    throw new ApiError(response.status, errorBody(await response.text(), response.status), response.headers);
  if (!response.body) return;
  const reader = response.body
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it may have failed already, and then there is nothing to end
  }
}
