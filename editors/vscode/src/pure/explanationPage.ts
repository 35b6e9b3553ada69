// The page "Why this suggestion", from the server's answer to fimLsp.explain.

export interface Explanation {
  /** Empty before the first request. */
  readonly uri: string;
  /** Counted from 0. */
  readonly line: number;
  readonly source: "cache" | "joined" | "generated";
  readonly model: string;
  /** Empty if the prompt has only the text before the cursor. */
  readonly template: string;
  readonly adapters: readonly { readonly path: string; readonly scale: number }[];
  readonly multiline: boolean;
  readonly delayMs: number;
  readonly timings: Readonly<
    Record<
      "queuedMs" | "prefillMs" | "decodeMs" | "evaluatedTokens" | "reusedTokens" | "generatedTokens",
      number
    >
  >;
  /** The parts of the prompt. */
  readonly parts: readonly { readonly kind: string; readonly text: string; readonly tokens: number }[];
  /** The snippets of other files in the prompt and why they are there, or why there are none. */
  readonly snippets: string;
  /** The first text, if it only repeated text around the cursor and the model generated again. */
  readonly echo: string;
  /** The model's text, up to where a stop rule ended it. */
  readonly generated: string;
  /** The stop rule. */
  readonly endedBy: string;
  /** The filters that changed the text, in order. */
  readonly steps: readonly { readonly name: string; readonly before: string; readonly after: string }[];
  readonly shown: string | null;
  readonly droppedBecause: string;
  /** The mean probability of the tokens, 0 to 1. */
  readonly confidence: number;
}

const SOURCES = {
  cache: "remembered from an earlier request",
  joined: "taken from a generation that was already running",
  generated: "generated for this request",
};

/** Write the page in Markdown. */
export function explanationPage(explanation: Explanation): string {
  if (!explanation.uri) return "# Why this suggestion\n\nNothing was suggested yet.\n";
  const { uri, line, source, confidence, generated, endedBy, steps, parts, shown } = explanation;
  return [
    "# Why this suggestion",
    `${decodeURIComponent(uri)}, line ${line + 1}`,
    shown === null
      ? `Nothing was suggested: ${explanation.droppedBecause}.`
      : `Suggested:\n\n${codeBlock(shown)}`,
    `It came from ${origin(explanation)}.`,
    `It was ${SOURCES[source]}. Its tokens have a mean probability of ${Math.round(confidence * 100)}%.`,
    "## What the model generated",
    ...echo(explanation),
    `${codeBlock(generated)}\n\nIt ended because of: ${endedBy || "nothing"}.`,
    "## What the filters changed",
    steps.length > 0 ? steps.map(formatStep).join("\n\n") : "Nothing.",
    "## What it cost",
    costs(explanation),
    "## The prompt",
    ...promptFacts(explanation),
    ...parts.map(({ kind, text, tokens }) => `### ${kind}, ${tokens} tokens\n\n${codeBlock(text)}`),
    "",
  ].join("\n\n");
}

/** Name the model and its adapters' files: `SmolLM2 135M with mine.gguf at scale 0.5`. */
function origin({ model, adapters }: Explanation): string {
  const named = adapters.map(({ path, scale }) => {
    const file = path.replace(/^.*[\\/]/, "");
    return scale === 1 ? file : `${file} at scale ${scale}`;
  });
  return [model || "the model", ...(named.length > 0 ? ["with", named.join(", ")] : [])].join(" ");
}

function echo({ echo: text }: Explanation): string[] {
  if (!text) return [];
  return [
    `The first text only repeated text around the cursor, so the model generated again:\n\n${codeBlock(text)}`,
    "The second text:",
  ];
}

function formatStep({ name, before, after }: Explanation["steps"][number]): string {
  return `**${name}** changed\n\n${codeBlock(before)}\n\nto\n\n${codeBlock(after)}`;
}

function promptFacts({ template, snippets }: Explanation): string[] {
  return [`Template: ${template || "none"}.`, ...(snippets ? [`Other files: ${snippets}.`] : [])];
}

function costs({ delayMs, timings, multiline }: Explanation): string {
  const rows = [
    ["prompt tokens evaluated", timings.evaluatedTokens],
    ["prompt tokens reused", timings.reusedTokens],
    ["tokens generated", timings.generatedTokens],
    ["debounce, ms", delayMs.toFixed(1)],
    ["queue, ms", timings.queuedMs.toFixed(1)],
    ["prefill, ms", timings.prefillMs.toFixed(1)],
    ["decode, ms", timings.decodeMs.toFixed(1)],
    ["several lines", multiline ? "yes" : "no"],
  ];
  return ["| | |", "|---|---:|", ...rows.map((row) => `| ${row.join(" | ")} |`)].join("\n");
}

/** Put a text into a code block, with a fence longer than any inside the text. */
function codeBlock(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
