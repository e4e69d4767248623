// Building the page from nodes: text is always text, whatever the document says.

/** Make an element: make("a", {href: "/x", class: "y", onclick: f}, "text", child …). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Render the little Markdown that descriptions use: paragraphs, lists with *, and `code`. */
export function prose(text) {
  return (text || "").split(/\n{2,}/).filter((block) => block.trim()).map((block) => {
    if (!block.trimStart().startsWith("* ")) return make("p", {}, codes(block));
    const items = block.trim().split(/^\s*\* /m).filter(Boolean);
    return make("ul", {}, items.map((item) => make("li", {}, codes(item.replace(/\s+/g, " ")))));
  });
}

/** Render the `code` (or ``code``) inside a line of text. */
export function codes(text) {
  return text.split(/`+/).map((part, at) => (at % 2 ? make("code", {}, part) : part)).filter((part) => part !== "");
}

/** A details element that builds its content when it is first opened, so that schemas may hold themselves. */
export function lazy(attributes, summary, build) {
  const element = make("details", attributes, summary);
  element.addEventListener("toggle", () => element.append(...build()), { once: true });
  return element;
}
