/**
 * Log in as an admin, then GraphiQL, whose questions carry the session's token.
 */

import { current, logIn, logOut, post } from "./session.js";

const FIRST = `# Questions to this server; the book on the left knows them all.
{
  hello
  redisPing
  queues { name waiting delayed active failed oldestSeconds }
  nodes { name state beatAgeSeconds calls }
}
`;

const find = (id) => document.getElementById(id);
const form = find("login");
let root = null;

function show(trouble = "") {
  const account = current();
  form.hidden = account !== null;
  find("bar").hidden = find("graphiql").hidden = account === null;
  find("trouble").textContent = trouble;
  find("who").textContent = account?.email ?? account?.name ?? "";
  if (account === null) {
    root?.unmount();
    root = null;
    find("email").focus();
  } else if (root === null) {
    root = ReactDOM.createRoot(find("graphiql"));
    root.render(
      React.createElement(GraphiQL, {
        fetcher: ask,
        defaultQuery: FIRST,
        shouldPersistHeaders: false,
        isHeadersEditorEnabled: false,
      }),
    );
  }
}

async function ask(question) {
  try {
    return await post("/graphql", {
      query: question.query,
      variables: question.variables ?? null,
      operationName: question.operationName ?? null,
    });
  } catch (refusal) {
    // Whose log-in cannot be renewed is logged out already.
    if (refusal.status === 401 || current() === null) {
      await logOut();
      show("Your session has ended. Log in again.");
    }
    return { errors: [{ message: refusal.message, extensions: { code: refusal.code } }] };
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await logIn(find("email").value, find("password").value);
    await post("/graphql", { query: "{ hello }" });
    find("password").value = "";
    show();
  } catch (refusal) {
    await logOut();
    show(
      refusal.status === 403
        ? "This account is no admin. Log in with one that is."
        : refusal.message,
    );
  } finally {
    button.disabled = false;
  }
});

find("logout").addEventListener("click", async () => {
  await logOut();
  show();
});

show();
