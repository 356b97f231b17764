// Parse every Mermaid diagram of the given Markdown files, as GitHub would before it draws them. `check.sh` runs this from
// the folder that has the packages: node parse.mjs FILE…
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

// Mermaid cleans labels with a library that needs a document, though nothing is drawn here.
globalThis.window = new JSDOM("").window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");

let found = 0;
let wrong = 0;
for (const file of process.argv.slice(2)) {
  for (const [, diagram] of readFileSync(file, "utf8").matchAll(/^```mermaid\n(.*?)^```$/gms)) {
    found += 1;
    try {
      await mermaid.parse(diagram);
    } catch (error) {
      wrong += 1;
      console.error(`${file}: ${error.message}`);
    }
  }
}
console.log(`${found - wrong} of ${found} diagrams can be drawn`);
process.exitCode = wrong > 0 || found === 0 ? 1 : 0;
