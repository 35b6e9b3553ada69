--- The server's settings, as `settings` of `setup` and `configure` take them.
--- Written by scripts/settings_types.py from the server's own table; do not edit.

---@meta

---@class fim_lsp.ServerSettings.Model
---@field name? string Name of a model in the catalog, or path of a GGUF file.
---@field template? string (expert) Name of the fill-in-the-middle template. none completes from the text before the cursor alone; null chooses the template by the model file.
---@field gpuLayers? integer Number of model layers to run on the GPU; -1 for all of them.
---@field threads? integer Number of CPU threads. null uses the physical cores less one, and fewer while the machine is busy.
---@field contextTokens? integer (expert) Context window in tokens, for prompt and answer together.
---@field sequences? integer (expert) Number of sequences in the KV cache. Each keeps the evaluated tokens of one place in the code and has a context window of its own.
---@field batchTokens? integer (expert) Maximum number of tokens in one call of llama.cpp.
---@field ubatchTokens? integer (expert) Maximum number of tokens computed at once: 64 to 128 suits a CPU, 512 suits a GPU.
---@field flashAttention? 'auto'|'on'|'off' (expert) Flash attention. auto uses it if layers run on the GPU.
---@field kvTypeK? 'f32'|'f16'|'q8_0'|'q4_0' (expert) Data type of the keys in the KV cache.
---@field kvTypeV? 'f32'|'f16'|'q8_0'|'q4_0' (expert) Data type of the values in the KV cache. Types other than f16 need flash attention.
---@field mmap? boolean (expert) Map the model file into memory instead of copying it.
---@field speculation? 'auto'|'on'|'off' (expert) Speculative decoding: evaluate guessed tokens together with each token. auto measures at load whether that is faster.
---@field mlock? boolean (expert) Lock the model in memory, so that it is not swapped out.
---@field kvStateMb? integer Megabytes of disk for saved KV states, with which a restart resumes fast; 0 saves none. Saved states contain your code; fim-lsp cache --clear deletes them.
---@field unloadAfterMinutes? number Minutes without a request after which the model's memory is freed; null or 0 for never.

---@class fim_lsp.ServerSettings.Prompt
---@field maxTokens? integer (expert) Maximum number of tokens in a prompt.
---@field prefixShare? number (expert) Share of the prompt for the text before the cursor.
---@field layout? 'auto'|'plain'|'anchored' (expert) Layout for templates that put the suffix last. plain puts typed text before the suffix, which is then evaluated again at each key; anchored puts it behind. auto is anchored.
---@field coldMs? number Milliseconds that the first prompt at a new place may take, by the measured speed of this machine: a shorter prompt answers first, and the whole one is evaluated while nobody waits. null for no limit. There is none with layers on a GPU.
---@field healTokens? boolean (expert) Let the model rewrite the token that the cursor may have cut in half.
---@field maxMiddleChars? integer (expert) Maximum number of typed characters behind the suffix of an anchored prompt. After that, it is built anew.
---@field renewMiddleChars? integer (expert) Number of typed characters behind the suffix of an anchored prompt after which it is built anew while the user pauses. null is half of maxMiddleChars for models trained on long ones, and a few lines for others.
---@field maxStaleChars? integer (expert) Number of characters that the cursor may move down into the evaluated suffix before the prompt is built anew, for templates that put the suffix first.
---@field cursorCpuSeconds? number (expert) CPU seconds a minute that may be spent on the prompt where the cursor rests, before anything is typed there; 0 for none. Nothing is spent while the machine runs on battery.
---@field snippets? 'auto'|'on'|'off' Show the model snippets of other open files. auto does so for models trained to read them.
---@field snippetShare? number (expert) Maximum share of the prompt for snippets; 0 for none.
---@field maxSnippets? integer (expert) Maximum number of snippets in a prompt.

---@class fim_lsp.ServerSettings.Sampling
---@field maxTokens? integer (expert) Maximum number of tokens of a suggestion while typing.
---@field invokedMaxTokens? integer (expert) Maximum number of tokens of a suggestion invoked by a key.
---@field temperature? number (expert) Sampling temperature; 0 always takes the likeliest token.
---@field topK? integer (expert) Draw among this many likeliest tokens; 0 for all.
---@field topP? number (expert) Draw among the likeliest tokens with this total probability.
---@field seed? integer (expert) Seed of the draw.
---@field endBias? number (expert) Bias in nats for ending a suggestion instead of beginning another line. null takes that of the model file.

---@class fim_lsp.ServerSettings.Completion
---@field enabled? boolean Show suggestions.
---@field disabledLanguages? string[] Language ids without suggestions.
---@field disabledFiles? string[] Glob patterns for files without suggestions: for the name or, with a slash, the end of the path, in any case. A folder with /** stands for all files below it, a dot at the end for names without an extension. By default, files that may hold secrets.
---@field automatic? boolean Show suggestions while typing, not only when invoked by a key.
---@field debounceMinMs? number (expert) Minimum wait after a keystroke, in milliseconds.
---@field debounceMaxMs? number (expert) Maximum wait after a keystroke, in milliseconds.
---@field multiline? 'auto'|'always'|'never' Suggestions of several lines. auto allows them where a block may begin.
---@field maxLines? integer Maximum number of lines of a suggestion.
---@field minConfidence? number (expert) Drop suggestions with a lower mean token probability.
---@field stopBelow? number (expert) End a suggestion when the mean probability of its last tokens falls below this.
---@field timeBudgetMs? number (expert) Maximum time to generate a suggestion after the prompt is evaluated, in milliseconds.
---@field candidates? integer (expert) Number of suggestions to choose from when invoked by a key. model.sequences limits it.
---@field cacheSize? integer (expert) Number of suggestions to remember.
---@field prefetch? boolean (expert) Compute the next suggestion as soon as one is accepted.

---@class fim_lsp.ServerSettings.Adapters
---@field path? string Path of a LoRA adapter in a GGUF file.
---@field scale? number Scale of the adapter; 0 switches it off.
---@field languages? string[] Language ids of the documents it is for; empty for all.
---@field workspaces? string[] Absolute paths of the folders it is for; empty for all.

---@class fim_lsp.ServerSettings.Memory
---@field enabled? boolean Let the open documents and the files of the workspace vote on each token, beside the model.

---@class fim_lsp.ServerSettings.Feedback
---@field enabled? boolean Record on this machine what became of suggestions, for fim-lsp stats. No code is recorded, and nothing is sent.

---@class fim_lsp.ServerSettings
---@field model? fim_lsp.ServerSettings.Model
---@field prompt? fim_lsp.ServerSettings.Prompt
---@field sampling? fim_lsp.ServerSettings.Sampling
---@field completion? fim_lsp.ServerSettings.Completion
---@field adapters? fim_lsp.ServerSettings.Adapters[] LoRA adapters, as a list of objects. All that are for a document are applied to it.
---@field memory? fim_lsp.ServerSettings.Memory
---@field feedback? fim_lsp.ServerSettings.Feedback
---@field status? boolean (expert) Send fimLsp/status notifications, for clients that show them.
