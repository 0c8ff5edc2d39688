/** Stars and a few words about a call, by its caller, once; they can be changed for a day. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Icon } from "./icons.js";
import { Wrong } from "./parts.js";
import { useApp } from "./store.js";

const WORDS = ["", "Bad", "Poor", "Fine", "Good", "Excellent"];

/** @param {{call: string, name: string}} props  the call's id and whom it was with */
export function Rate({ call, name }) {
  const { api, desk } = useApp();
  const [score, setScore] = useState(0);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const [kept, setKept] = useState(null);
  const [again, setAgain] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (score === 0) {
      setError({ code: "INVALID_SCORE" });
      return;
    }
    const comment = new FormData(event.target).get("comment").trim();
    setBusy(true);
    setError(null);
    try {
      const path = `/calls/${call}/review`;
      const write = again ? api.put(path, { score, comment }) : api.post(path, { score, comment });
      setKept((await write).review);
      setAgain(true);
      desk.toast("Thank you for your rating.", "good");
    } catch (caught) {
      setError(caught);
      if (caught.code === "REVIEW_ALREADY_POSTED") setAgain(true);
    }
    setBusy(false);
  };
  if (kept) {
    return html`<div class="rated" role="status">
      <p>You gave ${name} <strong>${kept.score} of 5 stars</strong>.</p>
      <button class="button small" type="button" onClick=${() => setKept(null)}>Change it</button>
    </div>`;
  }
  return html`<form class="form rate" onSubmit=${submit}>
    <fieldset class="star-field">
      <legend>How was the call with ${name}?</legend>
      <div class="star-row">
        ${[1, 2, 3, 4, 5].map(
          (n) => html`<label class=${n <= score ? "lit" : ""} key=${n}>
            <input type="radio" name="score" value=${n} checked=${n === score}
              onChange=${() => setScore(n)} />
            <${Icon} name="star" size=${34} />
            <span class="hushed">${n} ${n === 1 ? "star" : "stars"}, ${WORDS[n]}</span>
          </label>`,
        )}
        <span class="soft small" aria-hidden="true">${WORDS[score]}</span>
      </div>
    </fieldset>
    <label class="field">
      <span class="label">A few words (optional)</span>
      <textarea class="input" name="comment" rows="2" maxlength="500"></textarea>
    </label>
    <${Wrong} error=${error} />
    <button class="button main" type="submit" disabled=${busy}>
      ${again ? "Change rating" : "Send rating"}
    </button>
  </form>`;
}
