// SPDX-License-Identifier: MIT
import { h, field, showProblem, newId } from "../common/dom.js";
import { setCredentials } from "../common/api.js";
import { t } from "../common/i18n.js";

/** Shows a modal dialog.  Returns a promise; close(value) closes the dialog and resolves the promise with value. */
export function open(title, build, { narrow } = {}) {
  return new Promise(resolve => {
    const id = newId("d");
    let result = null;
    const box = h("dialog", { "class": narrow ? "narrow" : null, "aria-labelledby": id });
    const close = value => {
      result = value;
      box.close();
    };
    box.append(h("h2", { id }, title), build(close, box));
    box.addEventListener("close", () => {
      box.remove();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

export const confirm = (title, text, action, { danger } = {}) =>
  open(
    title,
    close =>
      h(
        "div",
        null,
        h("p", null, text),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => close(false) }, t("cancel")),
          h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => close(true) }, action),
        ),
      ),
    { narrow: true },
  );

/** A dialog that asks for confirmation; the user must type a word. */
export function confirmTyped(title, text, word, action) {
  return open(
    title,
    close => {
      const input = h("input", { autocomplete: "off", spellcheck: "false" });
      const submit = e => {
        e.preventDefault();
        if (input.value === word) close(true);
        else {
          showProblem(input, t("delete.mismatch", { word }));
          input.focus();
        }
      };
      return h(
        "form",
        { onsubmit: submit, novalidate: true },
        h("p", null, text),
        field(t("delete.type", { word }), input),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => close(false) }, t("cancel")),
          h("button", { class: "danger" }, action),
        ),
      );
    },
    { narrow: true },
  );
}

let asking = null;
/** The form for signing in: there is one, however many calls wait for it. */
export function signIn(reason) {
  asking ??= open(
    t("signin"),
    close => {
      const user = h("input", { autocomplete: "username", required: true }),
        password = h("input", { type: "password", autocomplete: "current-password", required: true });
      const submit = e => {
        e.preventDefault();
        if (!user.value || user.value.includes(":")) {
          showProblem(user, t("signin.user"));
          user.focus();
          return;
        }
        setCredentials(user.value, password.value);
        close(true);
      };
      return h(
        "form",
        { onsubmit: submit, novalidate: true },
        h("p", { role: reason ? "alert" : null, class: reason ? "bad" : "quiet" }, reason || t("signin.text")),
        field(t("signin.name"), user),
        field(t("signin.password"), password),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => close(false) }, t("cancel")),
          h("button", { class: "primary" }, t("signin")),
        ),
      );
    },
    { narrow: true },
  ).then(done => {
    asking = null;
    return done === true;
  });
  return asking;
}

export function toast(text, { action, label, problem } = {}) {
  const place = document.getElementById("toasts");
  const box = h(
    "div",
    { class: problem ? "toast problem" : "toast", role: problem ? "alert" : null },
    h("span", null, text),
  );
  const gone = () => box.remove();
  if (action)
    box.append(
      h(
        "button",
        {
          type: "button",
          class: "small",
          onclick: () => {
            gone();
            action();
          },
        },
        label,
      ),
    );
  box.append(h("button", { "type": "button", "class": "small", "aria-label": t("close"), "onclick": gone }, "×"));
  place.append(box);
  setTimeout(gone, action ? 15000 : 7000);
  // At most four toasts are shown.
  while (place.children.length > 4) place.firstChild.remove();
}
/** Runs the function and shows its error as a toast. */
export async function attempt(f) {
  try {
    return await f();
  } catch (e) {
    if (e.status !== 401) toast(e.message, { problem: true });
    return undefined;
  }
}
