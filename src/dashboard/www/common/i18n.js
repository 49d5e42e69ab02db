// SPDX-License-Identifier: MIT
import en from "./en.js";
import pt from "./pt.js";

const texts = { en, "pt-BR": pt };
export const languages = Object.keys(texts);
let current = choose();

function choose() {
  let kept = null;
  try {
    kept = localStorage.getItem("language");
  } catch {
    /* storage is disabled: the browser's language decides */
  }
  if (texts[kept]) return kept;
  for (const wanted of navigator.languages || []) {
    if (wanted.toLowerCase().startsWith("pt")) return "pt-BR";
    if (wanted.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}
export const language = () => current;
export function setLanguage(name) {
  current = name;
  document.documentElement.lang = name;
  try {
    localStorage.setItem("language", name);
  } catch {
    /* storage is disabled: the choice holds for this page only */
  }
}
/** Returns the text that is in the current language. */
export const pick = (english, portuguese) => (current === "pt-BR" ? portuguese : english);
/** Returns the text of the key with {names} filled in; if there is none, `otherwise` or the key. */
export function t(key, values, otherwise) {
  const text = texts[current][key] ?? en[key] ?? otherwise ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all) : text;
}
document.documentElement.lang = current;
