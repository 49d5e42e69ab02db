// SPDX-License-Identifier: MIT
// The mistakes that stylelint reports in the style sheets.  prettier decides the layout.
export default { extends: "stylelint-config-recommended", rules: { "no-descending-specificity": null } };
