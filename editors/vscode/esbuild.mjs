// Bundles the extension into out/extension.js; with --test, each unit test into out/test.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const common = { bundle: true, platform: "node", target: "node20", format: "cjs", logLevel: "warning" };

/** Collect the licences of all packages in the bundle, which must be shipped with it. */
function notices(inputs) {
  const packages = Object.keys(inputs).map((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const texts = [...new Set(packages.filter(Boolean))].sort().map((folder) => {
    const licence = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    return `${name} ${version} (${license})\n\n${licence ? readFileSync(`${folder}/${licence}`, "utf8") : ""}`;
  });
  return texts.join(`\n${"-".repeat(80)}\n`);
}

if (process.argv.includes("--test")) {
  const tests = readdirSync("test", { recursive: true }).filter((name) => name.endsWith(".test.ts"));
  await build({ ...common, entryPoints: tests.map((name) => `test/${name}`), outdir: "out/test" });
} else {
  const debug = process.argv.includes("--debug");
  const { metafile } = await build({
    ...common,
    entryPoints: ["src/extension.ts"],
    outfile: "out/extension.js",
    external: ["vscode"],
    minify: !debug,
    sourcemap: debug,
    metafile: true,
  });
  writeFileSync("out/NOTICES.txt", notices(metafile.inputs));
}
