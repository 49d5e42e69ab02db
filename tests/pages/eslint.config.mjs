// SPDX-License-Identifier: MIT
// The mistakes that eslint reports in the web pages and in the browser tests.  prettier decides the layout; eslint only
// checks the length of lines, because prettier does not break strings and comments.
import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  "eqeqeq": "error",
  "max-len": ["error", { code: 120 }],
  "no-implicit-globals": "error",
  "no-var": "error",
  "prefer-const": "error",
};

export default [
  { files: ["**/www/**/*.js"], languageOptions: { globals: { ...globals.browser, uPlot: "readonly" } }, rules },
  { files: ["**/*.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser } }, rules },
];
