/** The server refused a command, or ("stopped") there is no connection any more to send it by. */
export class CommandError extends Error {
  /** @param {{code: string, message: string, field?: string, retryAfterMs?: number}} data */
  constructor({ code, message, field = null, retryAfterMs = null, ...details }) {
    super(message);
    this.name = "CommandError";
    this.code = code;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
    /** The error's further keys: `call`, `required`, `pricePerMinute`… */
    this.details = details;
  }
}
