// A form that sends one operation to this very server, and shows what comes back.

import { make } from "/docs/dom.js";
import { example, resolve } from "/docs/schema.js";

const BODY_SHOWN_MAX = 200_000;
const SHOWN_HEADERS = ["etag", "location", "idempotency-replayed", "retry-after", "x-request-id", "content-type"];

/** Build the form of one operation. `token.read()` gives the token of the page, `token.use(…)` sets it. */
export function tryForm(api, method, path, operation, token) {
  const inputs = operation.parameters.map((parameter) => input(api, resolve(api, parameter)));
  const key = inputs.find((one) => one.parameter.name === "Idempotency-Key")?.field;
  const body = bodyField(api, operation, () => renew(key));
  renew(key);
  const result = make("div", { class: "result", "aria-live": "polite" });
  const send = make("button", { class: "main", type: "submit" }, "Send");
  const curl = make("button", { type: "button" }, "Copy as curl");
  const request = () => assemble(method, path, inputs, body?.area, token.read());
  const form = make("form", {},
    inputs.length ? make("div", { class: "pairs" }, inputs.map((one) => one.label)) : null,
    body?.label,
    make("div", { class: "buttons" }, send, body?.buttons, curl),
    result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      const { shown, accessToken } = await exchange(request());
      result.replaceChildren(...shown, ...(accessToken ? [useToken(token, accessToken)] : []));
    } finally {
      send.disabled = false;
    }
  });
  curl.addEventListener("click", async () => {
    const line = asCurl(request());
    result.replaceChildren(make("pre", {}, line));
    await navigator.clipboard?.writeText(line).catch(() => {});
  });
  return form;
}

/** The answer holds a token, as after signing in: one click, and all other forms send it. */
function useToken(token, accessToken) {
  const button = make("button", { class: "main", type: "button" }, "Use this access token");
  button.addEventListener("click", () => {
    token.use(accessToken);
    button.replaceWith(make("p", { class: "ok" }, "All forms of this page send this token now."));
  });
  return button;
}

function input(api, parameter) {
  const schema = resolve(api, parameter.schema);
  const many = schema.type === "array";
  const values = schema.enum || (schema.type === "boolean" ? [true, false] : null);
  const field = values && !many
    ? make("select", {}, make("option", { value: "" }, "—"), values.map((value) => make("option", { value }, String(value))))
    : make("input", { spellcheck: "false", autocomplete: "off", placeholder: many ? "several, separated by commas" : "" });
  if (parameter.in === "path") field.required = true;
  const name = make("span", {}, `${parameter.name}${parameter.required ? " *" : ""} · ${parameter.in}`);
  return { parameter, field, many, label: make("label", {}, name, field) };
}

/** Another body is another command, so it gets another key; a key of the user's own making stays. */
function renew(key) {
  if (!key || (key.value && key.value !== key.dataset.made)) return;
  key.dataset.made = key.value = crypto.randomUUID?.() || `try-${Date.now()}-${Math.random()}`;
}

function bodyField(api, operation, changed) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  if (!schema) return null;
  const area = make("textarea", { spellcheck: "false", rows: 8 });
  const fill = (optional) => {
    area.value = JSON.stringify(example(api, schema, { optional }), null, 2);
    changed();
  };
  area.addEventListener("input", changed);
  fill(false);
  const button = (text, optional) => make("button", { type: "button", onclick: () => fill(optional) }, text);
  return {
    area,
    label: make("label", {}, make("span", {}, "Body · JSON"), area),
    buttons: [button("Needed fields", false), button("All fields", true)],
  };
}

function assemble(method, path, inputs, area, token) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { parameter, field, many } of inputs) {
    const value = field.value.trim();
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (parameter.in === "header") headers[parameter.name] = value;
    else if (many) for (const one of value.split(",")) query.append(parameter.name, one.trim());
    else query.set(parameter.name, value);
  }
  if (token) headers.Authorization = `Bearer ${token}`;
  if (area) headers["Content-Type"] = "application/json";
  const search = query.size ? `?${query}` : "";
  return { method: method.toUpperCase(), url: target + search, headers, body: area ? area.value : undefined };
}

async function exchange({ url, ...options }) {
  const began = performance.now();
  try {
    const response = await fetch(url, { ...options, redirect: "manual", credentials: "omit", cache: "no-store" });
    const text = await response.text();
    const took = Math.round(performance.now() - began);
    const headers = SHOWN_HEADERS.filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`);
    const shown = [
      make("p", { class: response.ok ? "ok" : "no" }, make("b", {}, `${response.status} ${response.statusText}`), ` in ${took} ms`),
      make("pre", {}, `${headers.join("\n")}\n\n${pretty(text)}`.trim()),
    ];
    return { shown, accessToken: response.ok ? accessTokenOf(text) : null };
  } catch (error) {
    return { shown: [make("p", { class: "failed" }, `The request could not be sent: ${error.message}`)], accessToken: null };
  }
}

function accessTokenOf(text) {
  try {
    const found = JSON.parse(text)?.access_token;
    return typeof found === "string" ? found : null;
  } catch {
    return null;
  }
}

function pretty(text) {
  const shown = text.length > BODY_SHOWN_MAX ? `${text.slice(0, BODY_SHOWN_MAX)} …` : text;
  try {
    return JSON.stringify(JSON.parse(shown), null, 2);
  } catch {
    return shown;
  }
}

function asCurl({ method, url, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -X ${method} ${quote(location.origin + url)}`];
  for (const [name, value] of Object.entries(headers)) {
    lines.push(`-H ${quote(`${name}: ${name === "Authorization" ? "Bearer $TOKEN" : value}`)}`);
  }
  if (body) lines.push(`--data ${quote(body)}`);
  return lines.join(" \\\n  ").replace("'Authorization: Bearer $TOKEN'", '"Authorization: Bearer $TOKEN"');
}
