// The page "Why this suggestion", from the server's answer to fimLsp.explain.

export interface Explanation {
  readonly uri: string;
  /** Counted from 0. */
  readonly line: number;
  readonly source: "cache" | "joined" | "generated";
  readonly model: string;
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
  readonly parts: readonly { readonly kind: string; readonly text: string; readonly tokens: number }[];
  /** The snippets of other files in the prompt and why they are there, or why there are none. */
  readonly snippets: string;
  /** The first text, if it only repeated what stands around the cursor and the model was asked again. */
  readonly echo: string;
  readonly generated: string;
  readonly endedBy: string;
  readonly steps: readonly { readonly name: string; readonly before: string; readonly after: string }[];
  readonly shown: string | null;
  readonly droppedBecause: string;
  readonly confidence: number;
}

const SOURCES = {
  cache: "remembered from an earlier request",
  joined: "taken from a generation that was already running",
  generated: "generated for this request",
};

/** Write the page in Markdown. */
export function explanationPage(last: Explanation): string {
  if (!last.uri) return "# Why this suggestion\n\nNothing was suggested yet.\n";
  const outcome =
    last.shown === null
      ? `Nothing was shown: ${last.droppedBecause}.`
      : `Shown:\n\n${fenced(last.shown)}`;
  return [
    "# Why this suggestion",
    `${decodeURIComponent(last.uri)}, line ${last.line + 1}`,
    outcome,
    `It came from ${origin(last)}.`,
    `It was ${SOURCES[last.source]}. The model was ${Math.round(last.confidence * 100)}% sure of its tokens.`,
    "## What the model generated",
    ...(last.echo
      ? [`First this, which stands around the cursor already, so it was asked again:\n\n${fenced(last.echo)}`]
      : []),
    `${fenced(last.generated)}\n\nIt ended because of: ${last.endedBy || "nothing"}.`,
    "## What the filters changed",
    last.steps.length > 0 ? last.steps.map(step).join("\n\n") : "Nothing.",
    "## What it cost",
    costs(last),
    "## What the model saw",
    `Template: ${last.template || "none"}.`,
    ...(last.snippets ? [`Other files: ${last.snippets}.`] : []),
    ...last.parts.map(({ kind, text, tokens }) => `### ${kind}, ${tokens} tokens\n\n${fenced(text)}`),
    "",
  ].join("\n\n");
}

/** Name the model and its adapters' files: `SmolLM2 135M with mine.gguf at scale 0.5`. */
function origin({ model, adapters }: Explanation): string {
  const named = adapters.map(({ path, scale }) => {
    const file = path.replace(/^.*[\\/]/, "");
    return scale === 1 ? file : `${file} at scale ${scale}`;
  });
  return [model, ...(named.length > 0 ? ["with", named.join(", ")] : [])].join(" ");
}

function step({ name, before, after }: Explanation["steps"][number]): string {
  return `**${name}** made\n\n${fenced(before)}\n\ninto\n\n${fenced(after)}`;
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
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
