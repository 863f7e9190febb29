/**
 * Runs every example of the README and of docs/, holds the table of options against the code, the README in Portuguese against the English one, and follows
 * every link.
 *
 * An example is a fenced block marked `js`. One that requires or imports the package is a program of its own; any other is run with a `worker` that has
 * the built-in model and a context. Blocks that need more than Node.js are marked otherwise, for instance `js electron`.
 */

"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { after, before, describe, test } = require("node:test");
const { promisify } = require("node:util");
const { LlamaWorker, builtInModelPath } = require("../js/index.js");
require("./download-support");
const { Hub } = require("./fixtures/hub");

const ROOT = path.join(__dirname, "..");
const README = "README.md";
const TRANSLATED = "README.pt-BR.md";
const PAGES = [
  README,
  TRANSLATED,
  ...fs.readdirSync(path.join(ROOT, "docs")).map((name) => path.join("docs", name)),
].filter((name) => name.endsWith(".md"));
const FENCED = /^```js\n([\s\S]*?)^```$/gm;
/** Pages that are read, too, and have no examples to run. */
const OTHER_PAGES = ["SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "examples/electron-chat/README.md"];
const LONGEST_RUN_MS = 120_000;

const run = promisify(execFile);
/** What the examples download: the built-in model, under names of a hub. */
const hub = new Hub();
const HUB_MODELS = [["Qwen/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q8_0.gguf"]];

/** @type {string} where `require("llama-worker")` finds this checkout */
let project;

before(async () => {
  await hub.start();
  for (const [repository, file] of HUB_MODELS) hub.put(repository, file, fs.readFileSync(builtInModelPath));
  project = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-docs-"));
  fs.mkdirSync(path.join(project, "node_modules"));
  fs.symlinkSync(ROOT, path.join(project, "node_modules", "llama-worker"), "junction");
});
after(() => {
  hub.stop();
  fs.rmSync(project, { recursive: true, force: true });
});

/** @param {string} page */
function readPage(page) {
  return fs.readFileSync(path.join(ROOT, page), "utf8").replaceAll("\r\n", "\n");
}

/** @param {string} page */
function examples(page) {
  const text = readPage(page);
  return [...text.matchAll(FENCED)].map((match) => ({
    code: match[1],
    line: text.slice(0, match.index).split("\n").length + 1,
  }));
}

/** @param {string} code */
function program(code) {
  if (/require\("llama-worker"\)|from "llama-worker"/.test(code)) return code;
  return `
    const { LlamaWorker, LlamaError, builtInModelPath } = require("llama-worker");
    const longText = "The quick brown fox jumps over the lazy dog. ".repeat(100);
    (async () => {
      const worker = new LlamaWorker();
      await worker.init();
      await worker.loadModel(builtInModelPath);
      await worker.createContext();
      {${code}}
      await new Promise((resolve) => {
        // Examples over the port have no promise to wait for.
        const isDone = () => worker.session.history().then(resolve);
        setTimeout(isDone, 300);
      });
      await worker.cleanup();
    })();
  `;
}

for (const page of PAGES) {
  describe(page, () => {
    for (const { code, line } of examples(page)) {
      test(`the example in line ${line} runs`, async () => {
        const isModule = /^import /m.test(code);
        const file = path.join(project, `${path.basename(page)}-${line}.${isModule ? "mjs" : "cjs"}`);
        fs.writeFileSync(file, program(code));
        await run(process.execPath, ["--unhandled-rejections=strict", file], {
          cwd: project,
          env: { ...process.env, HF_ENDPOINT: hub.endpoint },
          timeout: LONGEST_RUN_MS,
        });
      });
    }
  });
}

describe(TRANSLATED, () => {
  const [original, translated] = [README, TRANSLATED].map((page) => sections(readPage(page)));

  test("has the sections of the other, in the same order", () => {
    assert.deepEqual(
      translated.map(({ level }) => level),
      original.map(({ level }) => level),
    );
    assert.ok(original.length > 15);
  });

  for (const [index, { title, ...facts }] of original.entries()) {
    test(`says under \`${title}\` what the other says: code, names, figures, links, rows`, () => {
      assert.deepEqual({ ...translated[index], title: "" }, { ...facts, title: "" });
    });
  }
});

for (const page of [...PAGES, ...OTHER_PAGES]) {
  test(`every link in ${page} leads somewhere`, () => {
    for (const target of linksOf(readPage(page)).filter((link) => !/^https?:/.test(link))) {
      const [name, anchor] = target.split("#");
      const file = name === "" ? path.join(ROOT, page) : path.join(ROOT, path.dirname(page), name);
      assert.ok(fs.existsSync(file), target);
      if (anchor === undefined) continue;
      assert.ok(anchorsOf(fs.readFileSync(file, "utf8")).has(anchor), target);
    }
  });
}

describe("docs/stability.md", () => {
  const promised = new Set(
    [
      ...readPage("docs/stability.md")
        .split("\n## Not promised")[0]
        .matchAll(/`([^`]+)`/g),
    ].map(([, name]) => name),
  );
  const manifest = JSON.parse(readPage("package.json"));

  test("promises what the package exports, and no path besides", () => {
    for (const name of Object.keys(require("../js/index.js")))
      assert.ok(name === "default" || promised.has(name), name);
    const paths = Object.keys(manifest.exports).map((entry) => path.posix.join(manifest.name, entry));
    assert.deepEqual(
      paths.filter((entry) => entry !== manifest.name).sort(),
      [...promised].filter((name) => name.startsWith("llama-worker/")).sort(),
    );
    assert.equal(promised.has(`require("${manifest.name}")`), true);
  });

  test("promises no dependencies, no install scripts and the Node.js that the package asks for", () => {
    assert.deepEqual([manifest.dependencies, manifest.peerDependencies], [undefined, undefined]);
    for (const script of ["preinstall", "install", "postinstall", "prepare"])
      assert.equal(manifest.scripts[script], undefined);
    assert.ok(
      readPage("docs/stability.md").includes(`| Node.js | ${manifest.engines.node.replace(">=", "")} and newer;`),
    );
  });
});

describe("codes and variables", () => {
  const { CODES } = require("../js/errors");
  /** Variables of the environment. */
  const VARIABLES = /^(HF|HTTPS?|ALL|NO|NODE|LLAMA_WORKER|GGML|NODE_LLAMA_CPP)_/;

  for (const page of PAGES)
    test(`${page} names only those that there are`, () => {
      const named = [...readPage(page).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name]) => name);
      assert.deepEqual(
        named.filter((name) => !Object.hasOwn(CODES, name) && !VARIABLES.test(name)),
        [],
      );
    });
});

test("a worker has what its type has, and nothing of the addon's besides", async () => {
  const worker = new LlamaWorker();
  await worker.cleanup();
  const { prototype } = LlamaWorker;
  const types = fs.readFileSync(path.join(ROOT, "index.d.ts"), "utf8");
  const names = [...Object.getOwnPropertyNames(worker), ...Object.getOwnPropertyNames(prototype)];
  assert.equal(Object.getPrototypeOf(prototype), Object.prototype);
  assert.deepEqual(names.sort(), ["constructor", ...new Set(propertyNames(types, "LlamaWorker"))].sort());
});

describe("docs/options.md", () => {
  const table = fs.readFileSync(path.join(ROOT, "docs", "options.md"), "utf8");
  const rows = [...table.matchAll(/^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$/gm)].map(([, name, , , port]) => ({
    name,
    port,
  }));
  const worker = new LlamaWorker();

  before(async () => {
    await worker.init();
    await worker.loadModel(builtInModelPath);
    await worker.createContext();
  });
  after(() => worker.cleanup());

  test("has a row for every option of the types, and no other", () => {
    const types = fs.readFileSync(path.join(ROOT, "index.d.ts"), "utf8");
    const declared = new Set(
      ["GenerateOptions", "MessageGenerateOptions"].flatMap((name) => propertyNames(types, name)),
    );
    assert.deepEqual([...new Set(rows.map(({ name }) => name))].sort(), [...declared].sort());
  });

  for (const { name, port } of rows) {
    if (port !== "only there") {
      test(`\`${name}\` is known to generate`, async () => {
        await assert.rejects(
          worker.generate("Hello!", /** @type {any} */ ({ [name]: Symbol("bad") })),
          (/** @type {any} */ error) => {
            assert.equal(error.code, "INVALID_OPTION");
            assert.ok(error.message.includes(`\`${name}`), error.message);
            return true;
          },
        );
      });
    }
    if (!port.startsWith("no")) {
      test(`\`${name}\` is known over the port`, async () => {
        const refused = new Promise((resolve) => {
          worker.onMessage = (message) => message.type === "error" && resolve(message);
        });
        worker.handleMessage(
          /** @type {any} */ ({ type: "generate_completion", prompt: "Hello!", options: { [name]: Number.NaN } }),
        );
        const { code, details } = await refused;
        assert.equal(code, "INVALID_OPTION");
        assert.ok(details.includes(`\`${name}`), details);
      });
    }
  }
});

/**
 * What does not depend on the language, section by section.
 *
 * @param {string} text
 */
function sections(text) {
  /** @type {string[]} */
  const blocks = [];
  // Blocks are put away first: a shell's comment looks like a heading.
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, (block) => `\0${blocks.push(withoutComments(block)) - 1}\0`);
  return prose.split(/^(?=#+ )/m).map((section) => {
    const words = section.replaceAll(/\]\([^)]*\)|`[^`]*`|\0\d+\0/g, " ");
    return {
      title: section.split("\n")[0].replace(/^#+ /, ""),
      level: /^#*/.exec(section)?.[0].length,
      blocks: [...section.matchAll(/\0(\d+)\0/g)].map(([, index]) => blocks[Number(index)]),
      names: [...section.matchAll(/`[^`]*`/g)].map(([name]) => name).sort(),
      figures: [...words.matchAll(/\d[\d.,]*/g)].map(([figure]) => figure.replaceAll(/[.,]/g, "")).sort(),
      // Its own sections are called otherwise, and each of the two leads to the other.
      links: linksOf(section)
        .map((link) => link.replace(/^#.*|^README.*|^https:\/\/semver\.org.*/, ""))
        .sort(),
      rows: section.split("\n").filter((line) => line.startsWith("|")).length,
    };
  });
}

/**
 * Code without its comments, which are translated. An address has no space in front of its slashes.
 *
 * @param {string} block
 */
function withoutComments(block) {
  return block.replaceAll(/(^|[ \t]+)(\/\/|#) .*$/gm, "");
}

/** @param {string} text */
function linksOf(text) {
  return [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
}

/**
 * The names that GitHub gives to headings.
 *
 * @param {string} text
 */
function anchorsOf(text) {
  const headings = [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, title]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_\- ]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/**
 * The properties that an interface or a class of index.d.ts declares itself.
 *
 * @param {string} types
 * @param {string} name
 */
function propertyNames(types, name) {
  const ts = require("typescript");
  const source = ts.createSourceFile("index.d.ts", types, ts.ScriptTarget.Latest);
  const found = source.statements.find((/** @type {any} */ statement) => statement.name?.text === name);
  const members = found?.members ?? found?.type?.types?.flatMap((/** @type {any} */ type) => type.members ?? []) ?? [];
  return members
    .filter((/** @type {any} */ member) => member.name?.text)
    .map((/** @type {any} */ member) => member.name.text);
}
