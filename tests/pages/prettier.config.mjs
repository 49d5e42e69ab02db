// SPDX-License-Identifier: MIT
// The layout of scripts and style sheets.
export default { printWidth: 120, arrowParens: "avoid", quoteProps: "consistent", objectWrap: "collapse" };
