// Fails when the packed extension grows beyond what anybody would download without a thought.
import { statSync } from "node:fs";

const MOST_BYTES = 500_000;
const { size } = statSync("fim-lsp.vsix");
console.log(`fim-lsp.vsix: ${Math.round(size / 1000)} kB`);
if (size > MOST_BYTES) throw new Error(`fim-lsp.vsix must stay below ${MOST_BYTES / 1000} kB`);
