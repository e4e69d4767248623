// JSON Schema as people read it, and an example that fits it.

import { codes, lazy, make } from "/docs/dom.js";

const DEPTH_MAX = 6;
const SAMPLES = {
  uuid: "01900000-0000-7000-8000-000000000001",
  "date-time": "2026-06-01T09:30:00Z",
  date: "2026-06-01",
  time: "09:30:00Z",
  duration: "PT1H",
  decimal: "12.50",
};

/** Follow a reference into the document's components. */
export function resolve(api, node) {
  let found = node;
  while (found && found.$ref) found = found.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
  return found || {};
}

const refName = (node) => node.$ref.split("/").pop();
const isNull = (schema) => schema.type === "null";
const choices = (schema) => schema.anyOf || schema.oneOf;

/** The object schemas whose fields make up a schema, allOf flattened. */
function parts(api, node) {
  const schema = resolve(api, node);
  return schema.allOf ? schema.allOf.flatMap((part) => parts(api, part)) : [schema];
}

/** All fields of an object schema, and which of them it needs. */
function fieldsOf(api, node) {
  const all = parts(api, node);
  const properties = {};
  for (const part of all) {
    for (const [name, schema] of Object.entries(part.properties || {})) properties[name] = { ...properties[name], ...schema };
  }
  return { properties, required: new Set(all.flatMap((part) => part.required || [])) };
}

/** Name a type in a few words: "string (uuid) or null", "list of Part". */
export function typeName(api, node) {
  if (!node || Object.keys(node).length === 0) return "anything";
  if (node.$ref) return refName(node);
  if (choices(node)) return choices(node).map((choice) => typeName(api, choice)).join(" or ");
  if (node.allOf) return node.allOf.filter((part) => part.$ref).map(refName).join(" and ") || "object";
  if ("const" in node) return JSON.stringify(node.const);
  if (node.type === "array") return `list of ${node.items ? typeName(api, node.items) : "anything"}`;
  if (node.additionalProperties && node.additionalProperties !== true) return `map to ${typeName(api, node.additionalProperties)}`;
  if (!node.type) return node.enum ? "one of" : "anything";
  return node.format ? `${node.type} (${node.format})` : node.type;
}

/** Spell out enums, bounds and defaults. */
function limits(api, node) {
  const schemas = [node, resolve(api, node), ...(choices(node) || []), ...(choices(node) || []).map((one) => resolve(api, one))];
  const said = [];
  for (const schema of new Set(schemas)) {
    if (schema.enum) said.push(schema.enum.length > 40 ? `${schema.enum.length} values` : schema.enum.join(" · "));
    for (const [key, word] of [["minLength", "at least"], ["maxLength", "at most"]]) if (key in schema) said.push(`${word} ${schema[key]} characters`);
    for (const [key, word] of [["minItems", "at least"], ["maxItems", "at most"]]) if (key in schema) said.push(`${word} ${schema[key]} items`);
    for (const [key, sign] of [["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["exclusiveMaximum", "<"]]) if (key in schema) said.push(`${sign} ${schema[key]}`);
    if (schema.pattern) said.push(schema.pattern);
  }
  if (node.default !== undefined && node.default !== null) said.push(`default ${JSON.stringify(node.default)}`);
  return [...new Set(said)].join(", ");
}

/** The object inside a schema whose fields are worth showing: itself, or that of a list, a map or a choice. */
function inner(api, node) {
  const schema = resolve(api, node);
  if (schema.properties || schema.allOf) return [node];
  if (schema.items) return inner(api, schema.items);
  if (typeof schema.additionalProperties === "object") return inner(api, schema.additionalProperties);
  return (choices(schema) || []).flatMap((choice) => inner(api, choice));
}

/** One named value: its name, its type, what it means. */
export function fieldLine(api, name, node, required) {
  const note = node.description || (node.$ref ? resolve(api, node).description : "");
  const nested = inner(api, node);
  return make("li", {},
    make("div", { class: "field" },
      make("code", {}, name),
      make("span", { class: "type" }, typeName(api, node)),
      required ? make("span", { class: "must" }, "required") : null,
      make("span", { class: "limits" }, limits(api, node))),
    note ? make("p", { class: "note" }, codes(note.split("\n\n")[0])) : null,
    nested.map((one) => lazy({ class: "more" }, make("summary", {}, one.$ref ? refName(one) : "fields"), () => [fieldList(api, one)])));
}

/** All fields of an object schema as a list. */
export function fieldList(api, node) {
  const { properties, required } = fieldsOf(api, node);
  const names = Object.keys(properties);
  if (names.length === 0) {
    const nested = inner(api, node).filter((one) => one !== node);
    return make("ul", { class: "fields" }, make("li", {},
      make("span", { class: "type" }, typeName(api, resolve(api, node))), " ", make("span", { class: "limits" }, limits(api, node)),
      nested.map((one) => lazy({ class: "more" }, make("summary", {}, one.$ref ? refName(one) : "fields"), () => [fieldList(api, one)]))));
  }
  return make("ul", { class: "fields" }, names.map((name) => fieldLine(api, name, properties[name], required.has(name))));
}

/** Make a value that fits the schema; optional fields only if asked for. */
export function example(api, node, { optional = false, depth = 0 } = {}) {
  const schema = resolve(api, node);
  if (schema.examples) return schema.examples[0];
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (choices(schema)) return example(api, choices(schema).find((choice) => !isNull(choice)) || {}, { optional, depth });
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.properties || schema.allOf) return exampleObject(api, node, { optional, depth });
  switch (schema.type) {
    case "array": return depth < DEPTH_MAX && schema.items && (optional || schema.minItems) ? [example(api, schema.items, { optional, depth: depth + 1 })] : [];
    case "integer": case "number": return schema.minimum ?? (schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + 1 : 1);
    case "boolean": return true;
    case "string": return SAMPLES[schema.format] || "text".padEnd(schema.minLength || 0, "x");
    case "null": return null;
    default: return {};
  }
}

function exampleObject(api, node, { optional, depth }) {
  const { properties, required } = fieldsOf(api, node);
  const made = {};
  for (const [name, schema] of Object.entries(properties)) {
    if (required.has(name) || (optional && depth < DEPTH_MAX)) made[name] = example(api, schema, { optional, depth: depth + 1 });
  }
  return made;
}
