// Draws /openapi.json. Everything in it enters the page as text, never as HTML.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
const OPEN_DEPTH = 1; // objects nested deeper than this start folded

const byId = (id) => document.getElementById(id);
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
const list = (value) => (Array.isArray(value) ? value : []);

let spec = {};

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

// References

/** Follows `$ref`s to what they name; `names` are the references passed on the way. */
function follow(node) {
  const names = [];
  let target = node ?? {};
  while (typeof target.$ref === "string" && !names.includes(target.$ref)) {
    const { $ref, ...beside } = target;
    names.push($ref);
    target = { ...(pointed($ref) ?? { description: `${$ref} isn’t in this document.` }), ...beside };
  }
  return { target, names };
}

function pointed(reference) {
  if (!reference.startsWith("#/")) return undefined;
  return reference.slice(2).split("/")
    .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((node, part) => node?.[part], spec);
}

const lastPart = (reference) => reference.split("/").pop();
const modelId = (name) => `schema-${name}`;
const modelLink = (reference) => element("a", { href: `#${modelId(lastPart(reference))}` }, lastPart(reference));

// Prose: the little of Markdown that doc comments use

function prose(text, className = "prose") {
  const box = element("div", { class: className });
  if (typeof text !== "string" || !text.trim()) return box;
  const pieces = text.trim().split(/^```[^\n]*\n([\s\S]*?)^```[^\n]*$/m);
  pieces.forEach((piece, index) => {
    if (index % 2) { box.append(block(piece.replace(/\n$/, ""))); return; }
    for (const paragraph of piece.split(/\n\s*\n/)) if (paragraph.trim()) box.append(...proseBlock(paragraph.trim()));
  });
  return box;
}

/** A paragraph or heading, and the list that may follow its first lines. */
function proseBlock(text) {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => /^\s*[-*] /.test(line));
  const words = (start < 0 ? lines : lines.slice(0, start)).join(" ").replace(/^#+ /, "");
  const points = start < 0 ? [] : lines.slice(start).join("\n").split(/^\s*[-*] /m).slice(1);
  return [
    words && element("p", {}, inline(words)),
    points.length > 0 && element("ul", {}, points.map((point) => element("li", {}, inline(point.replace(/\s+/g, " ").trim())))),
  ].filter(Boolean);
}

function inline(text) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/);
  return parts.map((part) => {
    if (/^`[^`]+`$/.test(part)) return element("code", {}, part.slice(1, -1));
    if (/^\*\*[^*]+\*\*$/.test(part)) return element("b", {}, part.slice(2, -2));
    const link = part.match(/^\[([^\]]+)\]\(((?:https?:\/\/|\/|#)[^)\s]*)\)$/);
    return link ? element("a", { href: link[2] }, link[1]) : part;
  });
}

const block = (text) => element("pre", { class: "block", tabindex: "0" }, element("code", {}, text));
const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const asCode = (value) => element("code", {}, JSON.stringify(value));
const commas = (nodes, word = ", ") => nodes.flatMap((node, index) => (index ? [word, node] : [node]));

// Schemas

const isNull = (schema) => schema?.type === "null";
const alternatives = (schema) => [...list(schema.oneOf), ...list(schema.anyOf)];

/** What a value is, in a word or a few. `passed` guards against a schema that names itself. */
function typeOf(schema, passed = []) {
  if (schema === true || !schema) return ["anything"];
  if (schema.$ref) return [modelLink(schema.$ref)];
  if (passed.includes(schema)) return ["…"];
  const within = [...passed, schema];
  if (alternatives(schema).length) return commas(alternatives(schema).map((one) => element("span", {}, typeOf(one, within))), " or ");
  if (list(schema.allOf).length) return commas(schema.allOf.map((one) => element("span", {}, typeOf(one, within))), " and ");
  if ("const" in schema) return [JSON.stringify(schema.const)];
  const types = [schema.type ?? (schema.properties ? "object" : schema.enum ? "one of" : "anything")].flat();
  return commas(types.map((type) => element("span", {}, type === "array"
    ? ["array of ", typeOf(schema.items, within)].flat()
    : [schema.format && type !== "null" ? `${type} (${schema.format})` : type])), " or ");
}

function range(low, high, unit) {
  if (low == null && high == null) return null;
  const number = (value) => value.toLocaleString("en");
  const units = unit && ` ${(high ?? low) === 1 ? unit : `${unit}s`}`;
  if (low === high) return `exactly ${number(low)}${units}`;
  if (low == null) return `at most ${number(high)}${units}`;
  if (high == null) return `at least ${number(low)}${units}`;
  return `${number(low)}–${number(high)}${units}`;
}

function constraints(schema) {
  return [
    range(schema.minLength, schema.maxLength, "character"),
    range(schema.minimum, schema.maximum, ""),
    schema.exclusiveMinimum != null && `above ${schema.exclusiveMinimum}`,
    schema.exclusiveMaximum != null && `below ${schema.exclusiveMaximum}`,
    range(schema.minItems, schema.maxItems, "item"),
    range(schema.minProperties, schema.maxProperties, "key"),
    schema.multipleOf != null && `a multiple of ${schema.multipleOf}`,
    schema.uniqueItems && "no item twice",
    schema.pattern && ["matches ", element("code", {}, schema.pattern)],
    schema.readOnly && "only in answers",
    schema.writeOnly && "only in requests",
    schema.deprecated && "deprecated",
  ].filter(Boolean).map((limit) => element("span", { class: "chip" }, limit));
}

const examplesOf = (schema) => [...("example" in schema ? [schema.example] : []), ...list(schema.examples)];

/** Default, allowed values and examples of a schema, a line each. */
function given(schema, withExamples = true) {
  const line = (label, values) => element("p", { class: "given" }, label, commas(values.map(asCode)));
  const examples = withExamples ? examplesOf(schema) : [];
  return [
    "default" in schema && line("Default: ", [schema.default]),
    list(schema.enum).length > 0 && line("One of: ", schema.enum),
    examples.length > 0 && line(examples.length > 1 ? "Examples: " : "Example: ", examples),
  ].filter(Boolean);
}

/** A named value: its head line, its description and whatever is nested in it. */
function field(name, schema, { required, about, seen, depth }) {
  const { target } = follow(schema);
  const limits = constraints(target);
  const must = element("span", { class: required ? "chip must" : "chip" }, required ? "required" : "optional");
  const nested = inside(schema, seen);
  return element("li", {},
    element("div", { class: "head" },
      element("code", {}, name),
      element("span", { class: "type" }, typeOf(schema)),
      element("span", { class: "chips" }, must, limits)),
    prose(about ?? target.description, "about"),
    given(target),
    nested && fold(nested, schema, depth));
}

function fold({ schema, seen }, outer, depth) {
  const body = view(schema, seen, depth + 1);
  if (!body.length) return null;
  const array = follow(outer).target.type === "array";
  return element("details", { class: "inner", open: depth < OPEN_DEPTH }, element("summary", {}, array ? "Each item" : "Its fields"), body);
}

/** The schema to open under a value: itself, its items or its extra keys. Nothing for scalars. */
function inside(schema, seen) {
  const { target, names } = follow(schema);
  if (names.some((name) => seen.includes(name))) return null; // the type's link leads to where it is drawn
  const within = [...seen, ...names];
  if (target.items && target.items !== true) return inside(target.items, within);
  const complex = target.properties || list(target.allOf).length || typeof target.additionalProperties === "object"
    || alternatives(target).some((one) => !isNull(one) && inside(one, within));
  return complex ? { schema: target, seen: within } : null;
}

/** The fields of a schema, as nodes. `seen` holds the references it is nested in. */
function view(schema, seen, depth) {
  const { target, names } = follow(schema);
  if (names.some((name) => seen.includes(name))) return [element("p", { class: "muted" }, "Again ", modelLink(names[0]), ".")];
  const within = [...seen, ...names];
  const merged = [target, ...list(target.allOf).map((one) => follow(one)).filter(({ names: more }) => !more.some((name) => within.includes(name))).map((one) => one.target)];
  const required = new Set(merged.flatMap((one) => list(one.required)));
  const rows = merged.flatMap((one) => Object.entries(one.properties ?? {}))
    .map(([name, property]) => field(name, property, { required: required.has(name), seen: within, depth }));
  const extra = merged.map((one) => one.additionalProperties).find((one) => one && typeof one === "object");
  if (extra) rows.push(field("any other key", extra, { required: false, seen: within, depth }));
  const choices = merged.flatMap(alternatives).filter((one) => !isNull(one));
  return [
    rows.length > 0 && element("ul", { class: "fields" }, rows),
    choices.length === 1 && view(choices[0], within, depth),
    choices.length > 1 && choices.map((one) => element("div", { class: "variant" },
      element("span", { class: "type" }, typeOf(one)), prose(follow(one).target.description, "about"), given(follow(one).target), view(one, within, depth + 1))),
    target.items && view(target.items, within, depth),
  ].flat().filter(Boolean);
}

/** A body or a model: what it is, its fields, an example. */
function whole(schema, examples = [], seen = []) {
  const { target } = follow(schema);
  const shown = examples.length ? examples : examplesOf(target);
  const made = shown.length ? [] : [sample(schema)].filter((value) => value && typeof value === "object" && Object.keys(value).length);
  return [
    element("p", {}, element("span", { class: "type" }, typeOf(schema)), constraints(target).length > 0 && [" ", element("span", { class: "chips" }, constraints(target))].flat()),
    prose(target.description, "about"),
    given(target, false),
    view(schema, seen, 0),
    [...shown, ...made].map((value) => [element("h4", {}, "Example"), block(asText(value))]),
  ].flat(2);
}

/** An example put together from those of a schema's fields; undefined unless every required field has one. */
function sample(schema, seen = []) {
  const { target, names } = follow(schema);
  if (names.some((name) => seen.includes(name))) return undefined;
  const within = [...seen, ...names];
  const [first] = examplesOf(target);
  if (first !== undefined) return first;
  if ("const" in target) return target.const;
  if (target.items) {
    const item = sample(target.items, within);
    return item === undefined ? undefined : [item];
  }
  const parts = [target, ...list(target.allOf).map((one) => follow(one).target)];
  const needed = parts.flatMap((part) => list(part.required));
  const entries = parts.flatMap((part) => Object.entries(part.properties ?? {}))
    .map(([name, property]) => [name, sample(property, within)]).filter(([, value]) => value !== undefined);
  if (entries.length && needed.every((name) => entries.some(([key]) => key === name))) return Object.fromEntries(entries);
  const choice = alternatives(target).find((one) => !isNull(one));
  return choice && sample(choice, within);
}

// Operations

function contents(content) {
  return Object.entries(content ?? {}).map(([mime, media]) => {
    const named = Object.values(media.examples ?? {}).map((one) => follow(one).target.value).filter((value) => value !== undefined);
    return element("div", {},
      mime !== "application/json" && element("p", { class: "muted small" }, mime),
      media.schema ? whole(media.schema, "example" in media ? [media.example] : named) : null);
  });
}

function parameters(all) {
  if (!all.length) return null;
  const rows = all.map((parameter) => {
    const schema = parameter.schema ?? Object.values(parameter.content ?? {})[0]?.schema ?? {};
    const { target } = follow(schema);
    const shown = "example" in parameter ? { ...target, example: parameter.example, examples: undefined } : target;
    return element("tr", {},
      element("td", {}, element("code", {}, parameter.name)),
      element("td", {}, parameter.in),
      element("td", {}, element("span", { class: "type" }, typeOf(schema))),
      element("td", {},
        element("span", { class: "chips" },
          element("span", { class: parameter.required ? "chip must" : "chip" }, parameter.required ? "required" : "optional"),
          constraints({ ...target, deprecated: parameter.deprecated })),
        prose(parameter.description ?? target.description, "about"), given(shown)));
  });
  const heads = ["Name", "In", "Type", "What it is"].map((head) => element("th", { scope: "col" }, head));
  return [element("h4", {}, "Parameters"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parameters" },
      element("table", { class: "parameters" }, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows)))];
}

function headersOf(headers) {
  const rows = Object.entries(headers ?? {}).map(([name, header]) => {
    const { target } = follow(header);
    return field(name, target.schema ?? {}, { required: target.required, about: target.description ?? "", seen: [], depth: OPEN_DEPTH });
  });
  return rows.length ? [element("h4", {}, "Headers"), element("ul", { class: "fields" }, rows)] : [];
}

function responses(all) {
  const rows = Object.entries(all ?? {}).map(([code, response]) => {
    const { target } = follow(response);
    const summary = [element("span", { class: "code", "data-class": code[0] }, code), inline(target.description || "")].flat();
    const body = [headersOf(target.headers), contents(target.content)].flat();
    return element("details", { open: code.startsWith("2") }, element("summary", {}, summary),
      element("div", {}, body.length ? body : element("p", { class: "muted" }, "No body.")));
  });
  return rows.length ? [element("h4", {}, "Answers"), element("div", { class: "responses" }, rows)] : [];
}

/** Who may ask: schemes within an entry go together, entries are alternatives. */
function access(security) {
  const entries = list(security);
  if (!entries.length) return element("p", { class: "muted small" }, "Needs no authentication.");
  const free = entries.some((entry) => !Object.keys(entry).length);
  const ways = entries.filter((entry) => Object.keys(entry).length)
    .map((entry) => element("span", {}, commas(Object.keys(entry).map((name) => element("a", { href: "#authentication" }, name)), " and ")));
  if (!ways.length) return element("p", { class: "muted small" }, "Needs no authentication.");
  return element("p", { class: "muted small" }, free ? "Authentication may be asked for: " : "Authentication: ", commas(ways, " or "), ".");
}

function pathNodes(path) {
  return path.split(/(\/|\{[^}]+\})/).filter(Boolean).flatMap((part) => {
    if (part.startsWith("{")) return [element("i", {}, part)];
    return part === "/" ? [element("wbr"), "/"] : [part];
  });
}

const method = (name) => element("span", { class: "method", "data-method": name }, name.toUpperCase());
const shortMethod = (name) => { const node = method(name); if (name === "delete") node.textContent = "DEL"; return node; };
const anchor = (id, what) => element("a", { class: "anchor", href: `#${id}`, "aria-label": `Link to ${what}` }, "#");

function operations() {
  return Object.entries(spec.paths ?? {}).flatMap(([path, item]) => {
    const shared = follow(item).target;
    return METHODS.filter((name) => shared[name]).map((name) => {
      const operation = shared[name];
      const own = list(operation.parameters).map((one) => follow(one).target);
      const inherited = list(shared.parameters).map((one) => follow(one).target)
        .filter((one) => !own.some((other) => other.name === one.name && other.in === one.in));
      return { path, name, operation, parameters: [...inherited, ...own], id: slug(`${name} ${path}`), tag: list(operation.tags)[0] ?? "Other" };
    });
  });
}

function drawOperation({ path, name, operation, parameters: all, id }) {
  const { target: body } = follow(operation.requestBody);
  return element("article", { class: "operation", id },
    element("h3", {}, method(name), element("code", {}, pathNodes(path)), operation.deprecated && element("span", { class: "chip must" }, "deprecated"), anchor(id, `${name.toUpperCase()} ${path}`)),
    operation.summary && element("p", { class: "summary" }, inline(operation.summary)),
    operation.description !== operation.summary && prose(operation.description),
    access(operation.security ?? spec.security),
    parameters(all),
    body.content && [element("h4", {}, body.required ? "Body" : "Body, optional"), prose(body.description, "about"), contents(body.content)].flat(),
    responses(operation.responses));
}

// The page

function drawAuthentication() {
  const schemes = Object.entries(spec.components?.securitySchemes ?? {}).map(([name, scheme]) => {
    const { target } = follow(scheme);
    const how = target.type === "apiKey" ? ["in the ", `${target.in} `, element("code", {}, target.name)]
      : target.type === "http" ? ["HTTP ", target.scheme, ", in the header ", element("code", {}, "Authorization")] : [target.type];
    return element("li", {},
      element("div", { class: "head" }, element("code", {}, name), element("span", { class: "type" }, how)),
      prose(target.description, "about"));
  });
  return element("section", { id: "authentication" },
    element("h2", {}, "Authentication"),
    element("p", {}, "A tenant’s backend sends the headers ", element("code", {}, "client"), " and ", element("code", {}, "secret"),
      " with each request, as ", element("a", { href: "#post-api-services" }, "making a service"), " gave them. Keep both on the backend: a chat client needs only a token."),
    schemes.length > 0 && element("ul", { class: "fields" }, schemes));
}

function drawTag({ name, description, members }) {
  return element("section", { id: `tag-${slug(name)}`, "data-tag": name },
    element("h2", {}, name), prose(description), members.map(drawOperation));
}

function drawModels() {
  const models = Object.entries(spec.components?.schemas ?? {});
  if (!models.length) return null;
  return element("section", { id: "schemas" }, element("h2", {}, "Schemas"),
    models.map(([name, schema]) => element("article", { class: "model", id: modelId(name) },
      element("h3", {}, element("code", {}, name), anchor(modelId(name), name)), whole(schema, [], [`#/components/schemas/${name}`]))));
}

function tagged(all) {
  const names = [...new Set([...list(spec.tags).map(({ name }) => name), ...all.map(({ tag }) => tag)])];
  return names.map((name) => ({
    name,
    description: list(spec.tags).find((tag) => tag.name === name)?.description,
    members: all.filter(({ tag }) => tag === name),
  })).filter(({ members }) => members.length);
}

function drawContents(tags) {
  const group = (title, items) => element("div", {}, element("h2", {}, title), element("ul", {}, items));
  const item = (href, ...words) => element("li", {}, element("a", { href }, words));
  byId("toc").replaceChildren(
    group("Start", [item("#authentication", "Authentication")]),
    ...tags.map(({ name, members }) => group(name, members.map(({ id, path, name: verb }) => item(`#${id}`, shortMethod(verb), element("span", {}, pathNodes(path)))))),
    ...(spec.components?.schemas ? [group("Schemas", Object.keys(spec.components.schemas).map((name) => item(`#${modelId(name)}`, name)))] : []));
}

function draw() {
  const { info = {} } = spec;
  byId("about").replaceWith(prose(info.description, "lede prose"));
  byId("version").textContent = info.version ? `${info.title ?? "Version"} ${info.version} · ` : "";
  const tags = tagged(operations());
  byId("main").replaceChildren(...[drawAuthentication(), ...tags.map(drawTag), drawModels()].filter(Boolean));
  drawContents(tags);
  byId("sidebar").hidden = false;
  const words = new Map(tags.flatMap(({ name, members }) => members.map((one) =>
    [one.id, [one.name, one.path, name, one.operation.summary, one.operation.description, one.operation.operationId].filter(Boolean).join(" ").toLowerCase()])));
  for (const model of document.querySelectorAll(".model")) words.set(model.id, `schema ${model.id.slice("schema-".length)}`.toLowerCase());
  return words;
}

function filterBy(words, text) {
  const asked = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const [id, said] of words) {
    const fits = asked.every((word) => said.includes(word));
    byId(id).hidden = !fits;
    byId("toc").querySelector(`a[href="#${CSS.escape(id)}"]`).parentElement.hidden = !fits;
    if (fits) found += 1;
  }
  byId("authentication").hidden = asked.length > 0;
  byId("toc").querySelector('a[href="#authentication"]').parentElement.hidden = asked.length > 0;
  const anyShown = (box, item) => [...box.querySelectorAll(item)].some((node) => !node.hidden);
  for (const section of document.querySelectorAll(".main > section:not(#authentication)")) section.hidden = !anyShown(section, "article");
  for (const group of byId("toc").children) group.hidden = !anyShown(group, "li");
  byId("count").textContent = asked.length ? (found ? `${found} of ${words.size} fit` : "Nothing fits.") : "";
}

function watchFilter(words) {
  const filter = byId("filter");
  filter.addEventListener("input", () => filterBy(words, filter.value));
  filter.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") { filter.value = ""; filterBy(words, ""); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    event.preventDefault();
    filter.focus();
  });
  // A link to something the filter hides shows everything again.
  const goTo = () => {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) { filter.value = ""; filterBy(words, ""); }
    target.scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", goTo);
  goTo();
}

function watchReading() {
  const mark = (id) => {
    for (const link of byId("toc").querySelectorAll("a")) {
      if (link.hash === `#${id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) mark(entry.target.id);
  }, { rootMargin: "-10% 0px -85% 0px" });
  for (const node of document.querySelectorAll(".operation, .model, #authentication")) observer.observe(node);
}

function watchWidth() {
  const wide = matchMedia("(min-width: 60rem)");
  const apply = () => { byId("contents").open = wide.matches; };
  wide.addEventListener("change", apply);
  apply();
  byId("toc").addEventListener("click", ({ target }) => { if (!wide.matches && target.closest("a")) byId("contents").open = false; });
}

async function read() {
  const response = await fetch("/openapi.json").catch(() => { throw new Error("the server doesn’t answer"); });
  const text = await response.text();
  let answer;
  try { answer = JSON.parse(text); } catch { /* told below */ }
  if (!response.ok) throw new Error(`the server answered ${response.status}${answer?.error ? `, ${answer.error}` : ""}${answer?.code ? ` (${answer.code})` : ""}`);
  if (!answer || typeof answer !== "object") throw new Error("what came isn’t JSON");
  return answer;
}

async function start() {
  byId("trouble").replaceChildren();
  try {
    spec = await read();
    const words = draw();
    watchFilter(words);
    watchReading();
    watchWidth();
  } catch (error) {
    console.error(error);
    byId("wait")?.remove();
    const again = element("button", { type: "button" }, "Try again");
    again.addEventListener("click", start, { once: true });
    byId("trouble").replaceChildren(element("div", { class: "notice bad" },
      element("p", {}, "The reference can’t be shown: /openapi.json couldn’t be read, because ", error.message, "."), again));
  }
}

start();
