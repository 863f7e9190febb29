/** The types of `import`, those of `require` under another ending. Made by `npm run generate`. */

export * from "./index.js";
export { default } from "./index.js";
