/**
 * Writes the API reference, docs/api.md, from the types and their comments. `npm run generate` keeps it up to date with
 * all other generated files; started by itself (`npm run docs:api`) it needs no build.
 *
 * Says nothing of its own: meaning, defaults and errors are the comments'. Fails when a comment links to something that is not there.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const ts = require("typescript");

const SOURCES = ["index.d.ts", "supervisor.d.ts"];

/** What is looked for first comes first; whatever is named nowhere here is among the data. */
const GROUPS = [
  {
    title: "Classes and sessions",
    names: ["LlamaWorker", "ChatSession", "Generation", "LlamaError", "builtInModelPath", "WorkerSupervisor"],
  },
  {
    title: "Options",
    names: [
      ...["InitOptions", "LoadModelOptions", "CreateContextOptions", "GenerateOptions", "RepeatPenalty"],
      ...["DryRepeatPenalty", "Mirostat", "CreateSessionOptions", "DownloadOptions", "DownloadSource"],
      ...["TokenizeOptions", "CountTokensOptions", "ApplyChatTemplateOptions", "WorkerSupervisorOptions"],
    ],
  },
  {
    title: "Results and errors",
    names: [
      ...["ErrorCode", "InitInfo", "DeviceInfo", "ModelInfo", "ContextInfo", "GenerationResult", "StopReason"],
      ...["Usage", "Timings", "TokenLogprobs", "LikelyToken", "DownloadProgress", "RenderedPrompt"],
    ],
  },
  {
    title: "The message contract",
    names: [
      ...["InboundMessage", "OutboundMessage", "Inbound", "Outbound", "MessageInitOptions", "LoadModelMessage"],
      ...["MessageLoadModelOptions", "MessageGenerateOptions", "Generating", "CallOptions", "DownloadModelMessage"],
      ...["MessageToolResult", "MessageStats", "MessagePortLike", "StartedWorker"],
    ],
  },
];
/** In these nothing has to be given, unless it says so. */
const OPTIONS = new Set([...GROUPS[1].names, "MessageInitOptions", "MessageLoadModelOptions"]);
const REST = "Messages, tools and chunks";

/** A default that is a value, and what else is said about it. */
const VALUE = /^("[^"]*"|-?[\d.]+|true|false|null|\[[^\]]*\])(?=$|[\s:,])(.*)$/s;

/**
 * @typedef {object} Entry something that is declared
 * @property {string} name
 * @property {any} node
 * @property {any} source
 */

class Reference {
  /** @param {Entry[]} entries */
  constructor(entries) {
    this.entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  render() {
    const grouped = new Set(GROUPS.flatMap(({ names }) => names));
    const rest = [...this.entries.keys()].filter((name) => !grouped.has(name));
    const groups = [...GROUPS, { title: REST, names: rest }];
    const index = groups.map(({ title, names }) => `| ${title} | ${names.map((name) => linkTo(name)).join(", ")} |`);
    const sections = groups.flatMap(({ title, names }) => [`## ${title}`, ...names.map((name) => this.#section(name))]);
    return `${["# API reference", HEAD, ["| | |", "| --- | --- |", ...index].join("\n"), ...sections].join("\n\n")}\n`;
  }

  /** @param {string} name */
  #section(name) {
    const entry = this.entries.get(name);
    if (!entry) throw new Error(`\`${name}\` is listed in scripts/api-reference.js and declared nowhere`);
    const { node, source } = entry;
    const parts = [`### ${name}`, this.#text(node, name)];
    if (isReadAsCode(node)) parts.push(code(declaration(node, source)));
    else if (ts.isVariableStatement(node)) parts.push(code(withoutComments(node, source)));
    else parts.push(this.#heritage(entry), this.#properties(entry), ...this.#methods(entry));
    return parts.filter(Boolean).join("\n\n");
  }

  /** @param {Entry} entry */
  #heritage({ node, source }) {
    const bases = (node.heritageClauses ?? []).flatMap((/** @type {any} */ clause) => clause.types);
    const texts = bases.map((/** @type {any} */ base) => this.#typeText(base, source));
    return texts.length > 0 ? `Has all of ${texts.join(" and ")}, and:` : "";
  }

  /** @param {Entry} entry */
  #properties({ name, node, source }) {
    const properties = membersOf(node).filter(
      (/** @type {any} */ member) => ts.isPropertySignature(member) || ts.isPropertyDeclaration(member),
    );
    if (properties.length === 0) return "";
    const isOptions = OPTIONS.has(name);
    const remark = (/** @type {any} */ property) => {
      if (isOptions) return property.questionToken ? "" : " (required)";
      return property.questionToken ? " (may be missing)" : "";
    };
    const rows = properties.map((/** @type {any} */ property) => {
      const { text, tags } = commentOf(property);
      if (text === "") throw new Error(`\`${name}.${property.name.text}\` has no comment`);
      const cells = [
        `\`${property.name.text}\`${remark(property)}`,
        this.#typeText(property.type, source),
        this.#linked(text, name).replaceAll("|", "\\|"),
        this.#linked(defaultText(tags), name),
      ];
      return cells.map((cell) => cell.replaceAll(/\s*\n\s*/g, " "));
    });
    const isWithoutDefaults = rows.every((/** @type {string[]} */ cells) => cells[3] === "");
    const columns = ["name", "type", "meaning", "default"].slice(0, isWithoutDefaults ? 3 : 4);
    return [columns, columns.map(() => "---"), ...rows]
      .map((cells) => `| ${cells.slice(0, columns.length).join(" | ")} |`)
      .join("\n");
  }

  /** @param {Entry} entry */
  #methods({ name, node, source }) {
    /** @type {Map<string, any[]>} */
    const methods = new Map();
    for (const member of membersOf(node)) {
      const title = methodTitle(name, member);
      if (title) methods.set(title, [...(methods.get(title) ?? []), member]);
    }
    return [...methods].map(([title, overloads]) => {
      const signatures = overloads.map((/** @type {any} */ member) => withoutComments(member, source)).join("\n");
      const texts = overloads.map((/** @type {any} */ member) => this.#text(member, name));
      return [`#### ${title}`, code(signatures), ...texts].filter(Boolean).join("\n\n");
    });
  }

  /**
   * A whole comment: what it says, then its parameters, result, errors and examples.
   *
   * @param {any} node
   * @param {string} owner
   */
  #text(node, owner) {
    const { text, tags } = commentOf(node);
    const of = (/** @type {string} */ kind) => tags.filter(({ name }) => name === kind);
    const lines = [
      ...of("typeParam").map(({ text }) => `- ${named(text)}`),
      ...of("param").map(({ subject, text }) => `- \`${subject}\`: ${text}`),
      ...of("returns").map(({ text }) => `- returns ${text}`),
      ...of("throws").map(({ text }) => `- throws ${text.replace("{LlamaError}", "{@link LlamaError}")}`),
    ];
    const fallback = defaultText(tags);
    if (fallback) lines.push(`- default: ${fallback}`);
    const examples = of("example").map(({ text }) => text);
    return [this.#linked(text, owner), this.#linked(lines.join("\n"), owner), ...examples].filter(Boolean).join("\n\n");
  }

  /**
   * A type in one line, without what every option may be as well.
   *
   * @param {any} type
   * @param {any} source
   */
  #typeText(type, source) {
    const text = type
      .getText(source)
      .replaceAll(/\/\/.*$/gm, "")
      .replaceAll(/\s+/g, " ")
      .replaceAll(/^\| /g, "")
      .replace(/ \| null \| undefined$/, "")
      .replace(/^\((\(.*\) => \w+)\)$/, "$1");
    if (this.entries.has(text)) return linkTo(text);
    const words = new Set(text.replaceAll(/"[^"]*"/g, "").match(/\w+/g));
    const ours = [...words].filter((word) => this.entries.has(word)).map((word) => linkTo(word));
    const fence = text.includes("`") ? "`` " : "`";
    const shown = `${fence}${text.replaceAll("|", "\\|")}${[...fence].reverse().join("")}`;
    return ours.length > 0 ? `${shown} (${ours.join(", ")})` : shown;
  }

  /**
   * @param {string} text
   * @param {string} owner in which the names of its own members need no more
   */
  #linked(text, owner) {
    return text.replaceAll(/\{@link ([\w.]+)\}/g, (_all, target) => {
      const known = [target, `${owner}.${target}`].find((name) => this.#isDeclared(name));
      if (!known) throw new Error(`a comment of \`${owner}\` links to \`${target}\`, which is not declared`);
      return linkTo(known, this.#placeOf(known), target);
    });
  }

  /** @param {string} name */
  #isDeclared(name) {
    const [owner, member] = name.split(".");
    const node = this.entries.get(owner)?.node;
    if (!node || member === undefined) return Boolean(node);
    return membersOf(node).some((/** @type {any} */ { name }) => name?.text === member);
  }

  /**
   * The heading under which a name is explained: methods have one of their own.
   *
   * @param {string} name
   */
  #placeOf(name) {
    const [owner, member] = name.split(".");
    const node = this.entries.get(owner)?.node;
    const isMethod = membersOf(node).some(
      (/** @type {any} */ each) => each.name?.text === member && methodTitle(owner, each) === name,
    );
    return isMethod && !isReadAsCode(node) ? name : owner;
  }
}

const HEAD = `Made from the comments in [\`index.d.ts\`](../index.d.ts) and [\`supervisor.d.ts\`](../supervisor.d.ts) by \`npm run generate\`; an editor shows the same.
Every option may also be \`null\` or \`undefined\`, which count as not given. The [pages about each part](../README.md#what-else-it-can-do) explain with examples.`;

/** @param {any} node */
function membersOf(node) {
  return node?.members ?? [];
}

/**
 * A declaration whose members say all by their names is shown as it is, and so is every type that is no interface.
 *
 * @param {any} node
 */
function isReadAsCode(node) {
  if (ts.isTypeAliasDeclaration(node)) return !isListed(node);
  return ts.isInterfaceDeclaration(node) && !membersOf(node).some((/** @type {any} */ each) => commentOf(each).text);
}

/**
 * Whether the comment names every value already.
 *
 * @param {any} node
 */
function isListed(node) {
  return commentOf(node).text.includes("\n- `");
}

/**
 * @param {string} owner
 * @param {any} member
 * @returns {string | undefined} the heading, for what is called
 */
function methodTitle(owner, member) {
  if (ts.isConstructorDeclaration(member)) return `new ${owner}`;
  if (!ts.isMethodSignature(member) && !ts.isMethodDeclaration(member)) return undefined;
  const isStatic = member.modifiers?.some((/** @type {any} */ { kind }) => kind === ts.SyntaxKind.StaticKeyword);
  const name = ts.isComputedPropertyName(member.name)
    ? `[${member.name.expression.getText(member.getSourceFile())}]`
    : `.${/** @type {any} */ (member.name).text}`;
  return `${owner}${name}${isStatic ? " (static)" : ""}`;
}

/**
 * @param {any} node
 * @returns {{ text: string, tags: { name: string, subject?: string, text: string }[] }}
 */
function commentOf(node) {
  const comment = node.jsDoc?.at(-1);
  const tags = (comment?.tags ?? []).map((/** @type {any} */ tag) => ({
    name: tag.tagName.text,
    subject: tag.name?.text,
    text: textOf(tag).replace(/^\s*-?\s*/, ""),
  }));
  return { text: comment ? textOf(comment) : "", tags };
}

/** @param {any} comment */
function textOf(comment) {
  // A thrown error's type is no part of the comment's text.
  const type = comment.typeExpression ? `${comment.typeExpression.getText()} ` : "";
  return `${type}${ts.getTextOfJSDocComment(comment.comment) ?? ""}`.trim();
}

/** @param {{ name: string, text: string }[]} tags */
function defaultText(tags) {
  const text = tags.find(({ name }) => name === "default")?.text ?? "";
  const [, value, rest] = VALUE.exec(text) ?? [undefined, undefined, text];
  return (value === undefined ? rest : `\`${value}\`${rest}`).replaceAll("|", "\\|");
}

/** @param {string} text `Name what it is` */
function named(text) {
  return text.replace(/^(\w+)\s+/, "`$1`: ");
}

/**
 * The source of a declaration, with the comments inside it.
 *
 * @param {any} node
 * @param {any} source
 */
function declaration(node, source) {
  const [comment] = node.jsDoc?.slice(-1) ?? [];
  const start = comment ? comment.end : node.getStart(source);
  return source.text
    .slice(start, node.end)
    .replaceAll(/^\s*\/\/.*\n/gm, "")
    .trim();
}

/**
 * The same of a method, as if it stood alone.
 *
 * @param {any} node
 * @param {any} source
 */
function withoutComments(node, source) {
  return declaration(node, source).replaceAll(/^ {2}/gm, "");
}

/** @param {string} text */
function code(text) {
  return `\`\`\`ts\n${text}\n\`\`\``;
}

/**
 * @param {string} name
 * @param {string} [place] the heading
 * @param {string} [shown]
 */
function linkTo(name, place = name, shown = name) {
  return `[\`${shown}\`](#${place
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-")})`;
}

/**
 * @param {string} root
 * @returns {string} the text of docs/api.md
 */
function renderApiReference(root) {
  const entries = SOURCES.flatMap((file) => {
    const text = fs.readFileSync(path.join(root, file), "utf8").replaceAll("\r\n", "\n");
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    return source.statements.flatMap((/** @type {any} */ node) => {
      const name = node.name?.text ?? node.declarationList?.declarations[0].name.text;
      return name === undefined ? [] : [{ name, node, source }];
    });
  });
  return new Reference(entries).render();
}

if (require.main === module) {
  const root = path.join(__dirname, "..");
  fs.writeFileSync(path.join(root, "docs", "api.md"), renderApiReference(root));
}

module.exports = { renderApiReference };
