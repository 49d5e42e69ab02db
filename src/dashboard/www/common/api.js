// SPDX-License-Identifier: MIT
// Calls of the dashboard's API.  Credentials are in sessionStorage: for this tab, until it is closed.
import { t } from "./i18n.js";

const KEY = "k6fleet.credentials";
let inMemory = null;
const listeners = new Set();

export function credentials() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return inMemory;
  }
}
export function setCredentials(user, password) {
  const value = user === null ? null : btoa(String.fromCharCode(...new TextEncoder().encode(user + ":" + password)));
  inMemory = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    /* storage is disabled: the credentials stay in memory */
  }
  for (const f of listeners) f();
}
export const onCredentials = f => {
  listeners.add(f);
  return () => listeners.delete(f);
};
export function headers(more) {
  const c = credentials();
  return { ...(c ? { Authorization: "Basic " + c } : {}), ...more };
}

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message || t("error.status", { status }));
    this.status = status;
    this.field = error?.field || null;
  }
}

let askToSignIn = null;
/** f(reason) must resolve to true when the user has signed in, and to false when he has declined. */
export const setSignIn = f => {
  askToSignIn = f;
};

async function send(method, path, body) {
  const change = method !== "GET";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: headers({ Accept: "application/json", ...(change ? { "Content-Type": "application/json" } : {}) }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
    });
  } catch {
    throw new ApiError(0, { message: t("error.unreachable") });
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, data?.error);
  return data;
}

/** Calls the API.  On 401 it shows the form for signing in and tries again, so input elsewhere on the page stays. */
export async function call(method, path, body) {
  if (method !== "GET" && !credentials() && askToSignIn && !(await askToSignIn(null)))
    throw new ApiError(401, { message: t("signin.needed") });
  for (;;) {
    try {
      return await send(method, path, body);
    } catch (e) {
      if (e.status !== 401 || !askToSignIn || !(await askToSignIn(credentials() ? t("signin.wrong") : null))) throw e;
    }
  }
}
export const get = path => call("GET", path);
export const id = encodeURIComponent;
