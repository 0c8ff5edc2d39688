/** Calling somebody, and what may come before it: too little money, another price. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money } from "/assets/shared/format.js";
import { Dialog, Wrong } from "./parts.js";
import { useApp } from "./store.js";
import { TopUp } from "./topup.js";
import { sayError } from "./words.js";

/**
 * `dial({id, name}, kind, price)` rings; `dialogs` is to be drawn where it is used. What keeps the
 * call from coming about is said in a dialog that can mend it, or beside the buttons.
 */
export function useDial() {
  const { client, site } = useApp();
  const [wrong, setWrong] = useState(null);
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState(null);
  const dial = async (person, kind, price) => {
    setAsked(null);
    setWrong(null);
    setBusy(true);
    try {
      await client.request(person.id, { kind, maxPricePerMinute: price });
    } catch (error) {
      const again = { person, kind, price, error };
      if (error.code === "insufficient_funds") setAsked({ ...again, what: "money" });
      else if (error.code === "price_changed") setAsked({ ...again, what: "price" });
      else setWrong(error);
    }
    setBusy(false);
  };
  const close = () => setAsked(null);
  let dialogs = html`<${Wrong} error=${wrong} />`;
  if (asked?.what === "money") {
    const { required, available = 0 } = asked.error.details ?? {};
    dialogs = html`<${Dialog} title="Top up to call" onClose=${close}>
      <p>${sayError(asked.error, site)}</p>
      <${TopUp}
        least=${required === undefined ? 0 : required - available}
        onDone=${() => dial(asked.person, asked.kind, asked.price)}
        done=${`Call ${asked.person.name}`}
      />
    <//>`;
  }
  if (asked?.what === "price") {
    const price = asked.error.details?.pricePerMinute;
    const sum = money(price, site.currency, site.currencyExponent);
    dialogs = html`<${Dialog} title="The price has changed" onClose=${close}>
      <p>${asked.person.name} costs <strong>${sum}</strong> a minute now.</p>
      <div class="buttons">
        <button class="button" type="button" onClick=${close}>Not now</button>
        <button class="button main" type="button"
          onClick=${() => dial(asked.person, asked.kind, price)}>
          Call for ${sum} a minute
        </button>
      </div>
    <//>`;
  }
  return { dial, busy, dialogs };
}
