// SPDX-License-Identifier: MIT
// The fields of the target form, a row a field, in the order of the form.  form.js knows the kinds.  Limits and initial
// values are those of TARGET_FIELDS in src/common/target.h; tests/unit/test_documents.c compares them.
//   name     as in the API
//   kind     text, url, area, script, number, interval, flag, choice, pairs, thresholds or statuses
//   en, pt   the label
//   first    above the fold; a new target is always sent with these
//   null     an empty text is sent as null
//   hint     beside the label: the same in all languages, or [English, Portuguese]
//   choices  [value, English, Portuguese]; without texts the value itself is shown
export const FIELDS = [
  { name: "url", kind: "url", first: true, null: true, en: "URL", pt: "URL" },
  { name: "label", kind: "text", first: true, initial: "", en: "Label", pt: "Rótulo" },
  { name: "vus", kind: "number", first: true, initial: 1, min: 1, max: 10000, en: "VUs", pt: "VUs" },
  {
    name: "durationS",
    kind: "number",
    first: true,
    initial: 30,
    min: 1,
    max: 86400,
    en: "Duration (s)",
    pt: "Duração (s)",
  },
  {
    name: "runIntervalMs",
    kind: "interval",
    first: true,
    initial: 60000,
    min: 1000,
    max: 604800000,
    en: "Run interval",
    pt: "Intervalo de execução",
  },
  { name: "enabled", kind: "flag", first: true, initial: true, en: "Enabled", pt: "Ativo" },
  {
    name: "method",
    kind: "choice",
    initial: "GET",
    choices: [["GET"], ["HEAD"], ["POST"], ["PUT"], ["PATCH"], ["DELETE"], ["OPTIONS"]],
    en: "Method",
    pt: "Método",
  },
  { name: "expectedStatuses", kind: "statuses", hint: "200, 204", en: "Expected statuses", pt: "Códigos esperados" },
  {
    name: "checks",
    kind: "choice",
    initial: "count",
    choices: [
      ["count", "Failed checks fail the run", "Verificações com falha reprovam a execução"],
      ["ignore", "Failed checks are only counted", "Verificações com falha são apenas contadas"],
    ],
    en: "Checks",
    pt: "Verificações",
  },
  { name: "maxAgents", kind: "number", min: 1, max: 100000, en: "Agents at most", pt: "Máximo de agentes" },
  { name: "timeoutS", kind: "number", min: 1, max: 604800, en: "Timeout (s)", pt: "Tempo limite (s)" },
  {
    name: "headers",
    kind: "pairs",
    separator: ":",
    hint: "Accept: text/html",
    en: "Headers, one a line",
    pt: "Cabeçalhos, um por linha",
  },
  { name: "body", kind: "area", null: true, en: "Body", pt: "Corpo" },
  {
    name: "thresholds",
    kind: "thresholds",
    hint: "http_req_duration: p(95)<500",
    en: "Thresholds, one a line",
    pt: "Limites, um por linha",
  },
  {
    name: "tags",
    kind: "pairs",
    separator: "=",
    hint: "team=web",
    en: "Tags, one a line",
    pt: "Etiquetas, uma por linha",
  },
  {
    name: "script",
    kind: "script",
    null: true,
    max: 1048576,
    hint: [
      "JavaScript; its own VUs and duration count, those above are ignored.",
      "JavaScript; valem seus próprios VUs e duração, os de cima são ignorados.",
    ],
    en: "k6 script, instead of the URL",
    pt: "Script k6, em vez da URL",
  },
];
