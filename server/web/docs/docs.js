// The documentation page: reads /openapi.json and shows every operation, with a form to try it.

import { codes, lazy, make, prose } from "/docs/dom.js";
import { fieldLine, fieldList, resolve, typeName } from "/docs/schema.js";
import { tryForm } from "/docs/try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const by = (id) => document.getElementById(id);

/** The token lives as long as the tab. */
const tokenField = by("token");
tokenField.value = sessionStorage.getItem("token") || "";
const keepToken = () => sessionStorage.setItem("token", tokenField.value.trim());
tokenField.addEventListener("input", keepToken);
by("token-form").addEventListener("submit", (event) => event.preventDefault());
const token = {
  read: () => tokenField.value.trim(),
  use: (value) => {
    tokenField.value = value;
    keepToken();
  },
};

function operationCard(api, { method, path, operation }) {
  const gist = make("summary", {},
    make("span", { class: `method ${method}` }, method),
    make("span", { class: "path" }, path.split(/({\w+})/).map((part) => (part.startsWith("{") ? make("i", {}, part) : part))),
    make("span", { class: "gist" }, codes(operation.summary)));
  const card = lazy({ class: "card", id: operation.operationId }, gist, () => [make("div", { class: "inside" }, details(api, method, path, operation))]);
  card.dataset.words = `${operation.operationId} ${method} ${path} ${operation.summary}`.toLowerCase();
  return card;
}

function details(api, method, path, operation) {
  const parameters = operation.parameters.map((parameter) => resolve(api, parameter));
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const open = operation.security?.some((one) => Object.keys(one).length === 0);
  return [
    make("ul", { class: "facts" },
      make("li", {}, operation.operationId),
      open ? make("li", {}, "no token needed") : null),
    prose(operation.description),
    parameters.length ? make("h3", {}, "Parameters") : null,
    parameters.length ? make("ul", { class: "fields" }, parameters.map((parameter) =>
      fieldLine(api, `${parameter.name} · ${parameter.in}`, { ...parameter.schema, description: parameter.description }, parameter.required))) : null,
    schema ? make("h3", {}, "Body") : null,
    schema ? fieldList(api, schema) : null,
    make("h3", {}, "Answers"),
    Object.entries(operation.responses).map(([status, response]) => answer(api, status, resolve(api, response))),
    make("details", { class: "try" }, make("summary", {}, "Try it"), tryForm(api, method, path, operation, token)),
  ];
}

function answer(api, status, response) {
  const [mediaType, content] = Object.entries(response.content || {})[0] || [];
  const refused = mediaType === "application/problem+json";
  const about = refused ? codesOf(response) : content ? typeName(api, content.schema) : "";
  const headers = Object.entries(response.headers || {});
  return lazy({ class: `answer ${refused ? "no" : "ok"}` },
    make("summary", {}, make("b", {}, status), make("span", { class: refused ? "limits" : "type" }, about)),
    () => [make("div", {},
      refused || content ? prose(refused ? response.description : "") : null,
      content && !refused ? fieldList(api, content.schema) : null,
      headers.length ? make("ul", { class: "fields" }, headers.map(([name, header]) => {
        const resolved = resolve(api, header);
        return fieldLine(api, `${name} · header`, { ...resolved.schema, description: resolved.description }, false);
      })) : null)]);
}

function codesOf(response) {
  return [...response.description.matchAll(/`(\w+)`:/g)].map((found) => found[1]).join(" · ");
}

function nounSection(api, noun, operations) {
  return make("section", { class: "noun", id: `noun-${noun}` },
    make("h2", {}, noun),
    operations.map((one) => operationCard(api, one)));
}

function schemaCard(api, name) {
  const node = { $ref: `#/components/schemas/${name}` };
  const schema = resolve(api, node);
  const gist = make("summary", {}, make("span", { class: "path" }, name), make("span", { class: "gist" }, codes((schema.description || "").split("\n")[0])));
  const card = lazy({ class: "card" }, gist, () => [make("div", { class: "inside" }, prose(schema.description), fieldList(api, node))]);
  card.dataset.words = name.toLowerCase();
  return card;
}

function show(api) {
  by("version").textContent = api.info.version;
  by("about").replaceChildren(make("h1", {}, `${api.info.title} API`), ...prose(api.info.description),
    make("p", {}, "The same for machines: ", make("a", { href: "/openapi.json" }, "/openapi.json")));
  const all = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, operation: { parameters: [], tags: ["other"], ...item[method] } })));
  const nouns = [...new Set([...api.tags.map((tag) => tag.name), ...all.flatMap((one) => one.operation.tags)])];
  for (const noun of nouns) {
    const operations = all.filter((one) => one.operation.tags.includes(noun));
    if (operations.length === 0) continue;
    by("operations").append(nounSection(api, noun, operations));
    by("nouns").append(make("li", {}, make("a", { href: `#noun-${noun}` }, noun, make("span", {}, String(operations.length)))));
  }
  by("schemas").append(...Object.keys(api.components.schemas).map((name) => schemaCard(api, name)));
  by("schemas").hidden = false;
  by("nouns").append(make("li", {}, make("a", { href: "#schemas" }, "schemas", make("span", {}, String(Object.keys(api.components.schemas).length)))));
}

function search() {
  const words = by("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of document.querySelectorAll(".noun, #schemas")) {
    let here = 0;
    for (const card of section.querySelectorAll(":scope > .card")) {
      card.hidden = !words.every((word) => card.dataset.words.includes(word));
      here += card.hidden ? 0 : 1;
    }
    section.hidden = here === 0;
    found += here;
  }
  by("nothing").hidden = found > 0;
}

function openLinked() {
  const card = document.getElementById(location.hash.slice(1));
  if (card instanceof HTMLDetailsElement) card.open = true;
  card?.scrollIntoView();
}

async function start() {
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
    openLinked();
  } catch (error) {
    by("about").replaceChildren(make("p", { class: "failed" }, `The API's description could not be read: ${error.message}`));
  }
}

by("search").addEventListener("input", search);
addEventListener("hashchange", openLinked);
document.addEventListener("toggle", (event) => {
  const card = event.target;
  if (card.open && card.id && card.matches(".card")) history.replaceState(null, "", `#${card.id}`);
}, true);
start();
