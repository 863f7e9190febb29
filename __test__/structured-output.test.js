/**
 * Answers that keep to a schema or a grammar, whatever the model would rather say.
 */

"use strict";

const assert = require("node:assert/strict");
const { CAPITAL, readyWorker, test } = require("./support");

const PERSON = {
  type: "object",
  properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer", minimum: 0, maximum: 120 } },
  required: ["name", "age"],
  additionalProperties: false,
};
const ASK_PERSON = "Write this as JSON: name Ana, age 30.";

/** A short answer of each kind: what the schema demands, and whether a value is of that kind. */
const SCHEMAS = /** @type {Record<string, [object, (value: any) => boolean]>} */ ({
  "a boolean": [{ type: "boolean" }, (value) => typeof value === "boolean"],
  null: [{ type: "null" }, (value) => value === null],
  "one of some texts": [{ enum: ["red", "green"] }, (value) => ["red", "green"].includes(value)],
  "a constant": [{ const: { a: [1] } }, (value) => JSON.stringify(value) === '{"a":[1]}'],
  "a whole number in a range": [
    { type: "integer", minimum: 3, maximum: 7 },
    (value) => Number.isInteger(value) && value >= 3 && value <= 7,
  ],
  "a short text": [
    { type: "string", minLength: 1, maxLength: 4 },
    (value) => typeof value === "string" && value.length >= 1 && value.length <= 4,
  ],
  "a list of a certain length": [
    { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 3 },
    (value) => Array.isArray(value) && value.length >= 2 && value.length <= 3,
  ],
  "either of two": [
    { anyOf: [{ type: "boolean" }, { type: "null" }] },
    (value) => value === null || typeof value === "boolean",
  ],
  "a reference": [
    { $ref: "#/$defs/flag", $defs: { flag: { type: "boolean" } } },
    (value) => typeof value === "boolean",
  ],
  "a nested object": [
    {
      type: "object",
      properties: {
        a: { type: "object", properties: { b: { type: "boolean" } }, required: ["b"], additionalProperties: false },
      },
      required: ["a"],
      additionalProperties: false,
    },
    (value) => typeof value.a.b === "boolean",
  ],
});

test("an answer that the model would give anyway is parsed", async (context) => {
  const worker = await readyWorker(context);
  const { text, parsed, stopReason } = await worker.generate(ASK_PERSON, { jsonSchema: PERSON });
  assert.equal(stopReason, "eogToken");
  assert.deepEqual(parsed, JSON.parse(text));
  const { name, age } = /** @type {any} */ (parsed);
  assert.equal(typeof name, "string");
  assert.ok(Number.isInteger(age) && age >= 0 && age <= 120);
});

for (const [name, [jsonSchema, isValid]] of Object.entries(SCHEMAS)) {
  for (const temperature of [0, 2]) {
    test(`${name}, temperature ${temperature}: the answer keeps to the schema`, async (context) => {
      const worker = await readyWorker(context);
      const { text, parsed, stopReason } = await worker.generate(CAPITAL.question, {
        jsonSchema,
        temperature,
        seed: 7,
      });
      assert.equal(stopReason, "eogToken");
      assert.deepEqual(parsed, JSON.parse(text));
      assert.ok(isValid(parsed), text);
    });
  }
}

test("a schema may be JSON text, and the streamed text is the JSON", async (context) => {
  const worker = await readyWorker(context);
  const chunks = [];
  const { text, parsed } = await worker.generate(ASK_PERSON, { jsonSchema: JSON.stringify(PERSON) }, (chunk) =>
    chunks.push(chunk),
  );
  assert.equal(chunks.join(""), text);
  assert.deepEqual(parsed, JSON.parse(text));
});

test("an answer that is cut off says so and is not parsed", async (context) => {
  const worker = await readyWorker(context);
  const result = await worker.generate(ASK_PERSON, { jsonSchema: PERSON, maxTokens: 2 });
  assert.equal(result.stopReason, "maxTokens");
  assert.equal("parsed" in result, false);
});

test("without a schema nothing is parsed", async (context) => {
  const worker = await readyWorker(context);
  assert.equal("parsed" in (await worker.generate(ASK_PERSON)), false);
});

test("the thought before an answer is free, the answer keeps to the schema", async (context) => {
  const worker = await readyWorker(context);
  const prompt = "What is 9 minus 6? Think before you answer.";
  const { parsed, reasoning } = await worker.generate(prompt, { jsonSchema: { type: "boolean" } });
  assert.equal(typeof parsed, "boolean");
  assert.notEqual(reasoning, "");
});

for (const [name, grammar, expected] of /** @type {[string, string, RegExp][]} */ ([
  ["a constant", 'root ::= "yes, please"', /^yes, please$/],
  ["a choice", 'root ::= "yes" | "no"', /^(yes|no)$/],
  ["a repetition", 'root ::= "ab"{3}', /^ababab$/],
  ["letters of several bytes", 'root ::= "água" | "🐱"', /^(água|🐱)$/u],
  ["nothing at all", 'root ::= ""', /^$/],
])) {
  test(`a grammar of ${name}: the answer keeps to it, and ends`, async (context) => {
    const worker = await readyWorker(context);
    const { text, stopReason } = await worker.generate(CAPITAL.question, { grammar });
    assert.match(text, expected);
    assert.equal(stopReason, "eogToken");
    assert.match((await worker.generate([{ role: "user", content: CAPITAL.question }])).text, /Paris/);
  });
}

for (const grammar of ["", "root ::= other", 'leaf ::= "a"', "root ::= root", 'root ::= "a', "\0"]) {
  test(`no grammar, ${JSON.stringify(grammar)}: INVALID_GRAMMAR, and the conversation goes on`, async (context) => {
    const worker = await readyWorker(context);
    await worker.generate("My name is Ana.");
    await assert.rejects(worker.generate("x", { grammar }), { code: "INVALID_GRAMMAR" });
    assert.match((await worker.generate("What is my name?")).text, /Ana/);
  });
}

for (const [name, jsonSchema] of /** @type {[string, object][]} */ ([
  ["a keyword that cannot be kept to", { type: "array", uniqueItems: true }],
  ["a type that there is not", { type: "colour" }],
  ["a reference to nothing", { $ref: "#/$defs/missing" }],
])) {
  test(`${name}: UNSUPPORTED_SCHEMA, never ignored`, async (context) => {
    const worker = await readyWorker(context);
    await assert.rejects(worker.generate("x", { jsonSchema }), { code: "UNSUPPORTED_SCHEMA" });
    assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
  });
}
