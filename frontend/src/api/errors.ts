/** What went wrong with a call, in the server's words. */

/** OpenAI's form of an error, with the fields that Sluice adds. */
export interface ErrorBody {
  message: string;
  type?: string;
  param?: string | null;
  code?: string;
  policy?: string;
  scope?: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: ErrorBody,
    readonly headers: Headers = new Headers(),
  ) {
    super(body.message);
    this.name = "ApiError";
  }
}

/** Reads an error out of whatever came back: not every proxy on the way speaks JSON. */
export function errorBody(text: string, status: number): ErrorBody {
  try {
    const { error } = JSON.parse(text) as { error?: Partial<ErrorBody> };
    if (typeof error?.message === "string") return { ...error, message: error.message };
  } catch {
    // Not JSON: said below in our own words.
  }
  return { message: text.slice(0, 200) || `The server answered ${status} without a reason.` };
}
