import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["out", "node_modules", "**/*.mjs"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  {
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      complexity: ["error", 10],
      "max-lines-per-function": ["error", 50],
    },
  },
  {
    // What is in src/pure is tested without an editor.
    files: ["src/pure/**"],
    rules: { "no-restricted-imports": ["error", { patterns: ["vscode", "vscode-*", "node:*"] }] },
  },
  {
    // Promises of node:test's `test` need not be awaited; a test may be long.
    files: ["test/**"],
    rules: { "@typescript-eslint/no-floating-promises": "off", "max-lines-per-function": "off" },
  },
);
