/**
 * The evaluation's conversations, which are written as the model reads them, as calls of the addon: tools, calls and results as what they
 * are. As text they would be no more than that to the model.
 *
 * Asks nothing itself.
 */

"use strict";

const TOOLS = /\n*# Tools\n<tools>\n([\s\S]*?)\n<\/tools>$/;
const CALL = /<tool_call>\n(.*?)\n<\/tool_call>/g;
const RESULT = /<tool_response>\n([\s\S]*?)\n<\/tool_response>/g;

/**
 * @param {{ role: string, content: string }[]} messages
 * @returns {{ messages: any[], tools: any[] }}
 */
function structured(messages) {
  const listed = messages[0]?.role === "system" ? TOOLS.exec(messages[0].content) : null;
  const tools = listed ? listed[1].split("\n").map((line) => JSON.parse(line)) : [];
  const plain = messages.map((message, index) =>
    index === 0 ? { ...message, content: message.content.replace(TOOLS, "") } : message,
  );
  const meant = plain.filter(({ role, content }) => role !== "system" || content !== "");
  return { messages: meant.flatMap(structuredMessage), tools };
}

/** @param {{ role: string, content: string }} message */
function structuredMessage({ role, content }) {
  const toolCalls = [...content.matchAll(CALL)].map(([, call]) => JSON.parse(call));
  const results = [...content.matchAll(RESULT)].map(([, result]) => ({ role: "tool", content: result }));
  if (role === "assistant" && toolCalls.length > 0) return [{ role, content: "", toolCalls }];
  return role === "user" && results.length > 0 ? results : [{ role, content }];
}

/**
 * An answer as the model wrote it.
 *
 * @param {{ text: string, reasoning: string, toolCalls: { name: string, arguments: unknown }[] }} answer
 */
function written({ text, reasoning, toolCalls }) {
  const thought = reasoning ? `<think>\n${reasoning}\n</think>\n\n` : "";
  const calls = toolCalls.map((call) => {
    const json = `{"name": ${spaced(call.name)}, "arguments": ${spaced(call.arguments)}}`;
    return `<tool_call>\n${json}\n</tool_call>`;
  });
  return thought + [...(text ? [text] : []), ...calls].join("\n");
}

/**
 * JSON with a space behind each comma and colon, as templates write it.
 *
 * @param {any} value
 * @returns {string}
 */
function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, field]) => `${JSON.stringify(name)}: ${spaced(field)}`)
    .join(", ")}}`;
}

module.exports = { structured, written };
