/** A question before anything that cannot be undone: what, why, and then it is done. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";

import { explain } from "../store.js";
import { Copy } from "./parts.js";
import { toast } from "./toast.js";

/** The field of every change that the audit log keeps. */
export const REASON = {
  name: "reason",
  label: "Reason",
  required: true,
  max: 200,
  hint: "Kept in the audit log.",
};

let open = null;
let show = () => {};

/**
 * @typedef {{name: string, label: string, kind?: "text" | "number" | "select" | "check" | "checks",
 *   required?: boolean, max?: number, value?: unknown, hint?: string, step?: string,
 *   options?: [string, string][]}} Field
 * @param {{title: string, text?: unknown, fields?: Field[], confirm?: string, danger?: boolean,
 *   secret?: string, done?: string,
 *   run?: (values: object, key: string) => Promise<unknown>}} question
 *   `run` gets what was filled in and a key that stays the same while it is tried again; what it
 *   throws is shown, and the question stays. `secret` is shown once, to be copied.
 * @returns {Promise<boolean>} whether it was done
 */
export function ask(question) {
  open?.answer(false);
  return new Promise((resolve) => {
    const answer = (done) => {
      open = null;
      show(null);
      resolve(done);
    };
    open = { ...question, key: crypto.randomUUID(), answer };
    show(open);
  });
}

/** Where questions appear. There is one. */
export function Questions() {
  const [question, setQuestion] = useState(open);
  useEffect(() => {
    show = setQuestion;
    return () => {
      show = () => {};
    };
  }, []);
  return question && html`<${Question} key=${question.key} question=${question} />`;
}

function first(fields) {
  const kept = {};
  for (const { name, kind, value } of fields) {
    kept[name] = value ?? (kind === "check" ? false : kind === "checks" ? [] : "");
  }
  return kept;
}

function Question({ question }) {
  const {
    title,
    text,
    fields = [],
    confirm = "Confirm",
    danger,
    secret,
    done,
    run,
    key,
  } = question;
  const box = useRef(null);
  const [values, setValues] = useState(() => first(fields));
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    box.current.showModal();
    // Nothing that cannot be undone is a slip of the Enter key away.
    const first =
      box.current.querySelector("input, select") ?? box.current.querySelector(".button");
    first.focus();
  }, []);

  const leave = (answer) => {
    box.current?.close();
    question.answer(answer);
  };

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setWrong("");
    try {
      const said = await run?.(trimmed(values), key);
      leave(true);
      if (done || typeof said === "string") toast(typeof said === "string" ? said : done);
    } catch (error) {
      setWrong(explain(error));
      setBusy(false);
    }
  }

  return html`<dialog
    class="ask"
    ref=${box}
    aria-labelledby="ask-title"
    onCancel=${(event) => {
      event.preventDefault();
      leave(false);
    }}
  >
    <form onSubmit=${submit}>
      <h2 id="ask-title">${title}</h2>
      ${text && html`<p class="soft">${text}</p>`}
      ${
        secret &&
        html`<div class="secret">
        <code>${secret}</code><${Copy} text=${secret} label="Copy secret" />
      </div>`
      }
      ${fields.map(
        (field) => html`<${AskField}
          key=${field.name}
          field=${field}
          value=${values[field.name]}
          set=${(value) => setValues((before) => ({ ...before, [field.name]: value }))}
        />`,
      )}
      ${wrong && html`<p class="note bad" role="alert">${wrong}</p>`}
      <div class="ask-buttons">
        ${
          !secret &&
          html`<button type="button" class="button small" onClick=${() => leave(false)}>
          Cancel
        </button>`
        }
        <button class="button small ${danger ? "danger" : "main"}" disabled=${busy}>
          ${busy ? "One moment…" : confirm}
        </button>
      </div>
    </form>
  </dialog>`;
}

function trimmed(values) {
  const entries = Object.entries(values);
  return Object.fromEntries(entries.map(([k, v]) => [k, typeof v === "string" ? v.trim() : v]));
}

function AskField({ field, value, set }) {
  const { name, label, kind = "text", required, max, hint, options = [], step } = field;
  const id = `ask-${name}`;
  const about = hint ? `${id}-hint` : undefined;
  if (kind === "check") {
    return html`<label class="check">
      <input type="checkbox" checked=${value} onChange=${(e) => set(e.target.checked)} />
      <span>${label}</span>
    </label>`;
  }
  if (kind === "checks") {
    const turn = (word, on) => set(on ? [...value, word] : value.filter((each) => each !== word));
    return html`<fieldset class="checks">
      <legend>${label}</legend>
      ${hint && html`<p class="soft small">${hint}</p>`}
      ${options.map(
        ([word, text]) => html`<label class="check" key=${word}>
          <input
            type="checkbox"
            checked=${value.includes(word)}
            onChange=${(e) => turn(word, e.target.checked)}
          />
          <span>${text}</span>
        </label>`,
      )}
    </fieldset>`;
  }
  const shared = { id, name, class: "input", required, "aria-describedby": about };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${
      kind === "select"
        ? html`<select ...${shared} onChange=${(e) => set(e.target.value)}>
          ${options.map(
            ([word, text]) =>
              html`<option value=${word} selected=${word === value}>${text}</option>`,
          )}
        </select>`
        : html`<input
          ...${shared}
          type=${kind}
          step=${step}
          maxlength=${max}
          autocomplete="off"
          pattern=${kind === "text" && required ? ".*\\S.*" : undefined}
          value=${value}
          onInput=${(e) => set(e.target.value)}
        />`
    }
    ${hint && html`<p class="soft small" id=${about}>${hint}</p>`}
  </div>`;
}
