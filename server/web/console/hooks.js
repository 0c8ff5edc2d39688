/** Loading what a page shows, again and again while somebody looks. */

import { useCallback, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";

/**
 * Load with `load`, again when `deps` change, and every `everyMs` while the page is visible. What
 * is shown stays while the next answer is on its way.
 * @template T
 * @param {() => Promise<T>} load
 * @param {unknown[]} deps
 * @param {{everyMs?: number}} [options]
 * @returns {{data: T | null, error: Error | null, loading: boolean, reload: () => Promise<void>}}
 */
export function useLoad(load, deps, { everyMs = 0 } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const latest = useRef(0);
  const current = useRef(load);
  current.current = load;

  const reload = useCallback(async () => {
    const mine = ++latest.current;
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await current.current();
      if (mine === latest.current) setState({ data, error: null, loading: false });
    } catch (error) {
      if (mine === latest.current) setState((before) => ({ ...before, error, loading: false }));
    }
  }, []);

  useEffect(() => {
    reload();
    return () => {
      latest.current += 1;
    };
  }, deps);

  useEffect(() => {
    if (!everyMs) return undefined;
    let timer = 0;
    let over = false;
    const next = () => {
      timer = setTimeout(async () => {
        if (!document.hidden) await reload();
        if (!over) next();
      }, everyMs);
    };
    const seen = () => {
      if (!document.hidden) reload();
    };
    next();
    document.addEventListener("visibilitychange", seen);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [everyMs]);

  return { ...state, reload };
}

const tickers = new Set();
setInterval(() => {
  if (!document.hidden) for (const tick of tickers) tick();
}, 1000);

/** Re-render every `seconds`, for times that are told relative to now. */
export function useTick(seconds = 10) {
  const [, setCount] = useState(0);
  useEffect(() => {
    let passed = 0;
    const tick = () => {
      passed += 1;
      if (passed % seconds === 0) setCount((count) => count + 1);
    };
    tickers.add(tick);
    return () => tickers.delete(tick);
  }, [seconds]);
}
