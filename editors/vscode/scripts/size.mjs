// Fails if the packed extension is larger than a quick download.
import { statSync } from "node:fs";

const MAX_BYTES = 500_000;
const { size } = statSync("fim-lsp.vsix");
console.log(`fim-lsp.vsix: ${Math.round(size / 1000)} kB`);
if (size > MAX_BYTES) throw new Error(`fim-lsp.vsix must stay below ${MAX_BYTES / 1000} kB`);
