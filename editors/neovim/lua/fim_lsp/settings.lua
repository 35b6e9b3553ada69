--- The server's settings, as `settings` of `setup` and `configure` take them.
--- Written by scripts/settings_types.py from the server's own table; do not edit.

---@meta

---@class fim_lsp.ServerSettings.Model
---@field name? string Name of a model in the catalog, or the path of a GGUF file.
---@field template? string FIM template by name, or none for the prefix alone; null chooses it from the model file.
---@field gpuLayers? integer Layers to run on the GPU; -1 for all of them.
---@field threads? integer CPU threads; null for physical cores less one, and fewer while the machine is busy.
---@field contextTokens? integer Context window in tokens, prompt and answer together.
---@field sequences? integer Places in the code whose evaluated tokens are kept at once, each with a context window of its own.
---@field batchTokens? integer Most tokens handed to llama.cpp at once.
---@field ubatchTokens? integer Most tokens computed at once: 64 to 128 on a CPU, 512 on a GPU.
---@field flashAttention? 'auto'|'on'|'off' Flash attention; auto is on with GPU layers and off without.
---@field kvTypeK? 'f32'|'f16'|'q8_0'|'q4_0' Type of the keys in the KV cache.
---@field kvTypeV? 'f32'|'f16'|'q8_0'|'q4_0' Type of the values; other than f16 needs flash attention.
---@field mmap? boolean Map the weights from the file rather than copy them.
---@field speculation? 'auto'|'on'|'off' Evaluate guesses along with each token; auto only where a measurement at load says that it pays.
---@field mlock? boolean Keep the weights from being swapped out.
---@field kvStateMb? integer Megabytes of disk for saved KV states, so that a restart resumes warm; 0 for none. They contain your code: fim-lsp cache --clear deletes them.
---@field unloadAfterMinutes? number Free the model's memory when nothing was asked of it for so long; null or 0 for never.

---@class fim_lsp.ServerSettings.Prompt
---@field maxTokens? integer Most tokens in a prompt.
---@field prefixShare? number Part of the prompt that belongs to the text before the cursor.
---@field layout? 'auto'|'plain'|'anchored' Layout where the suffix is last; auto: anchored for models trained on it, else plain.
---@field healTokens? boolean Let the model rewrite the token that the cursor may have cut in half.
---@field maxMiddleChars? integer How far the middle may grow before an anchored prompt is anchored anew.
---@field maxStaleChars? integer How far the cursor may go down into an evaluated suffix that is then replaced in the background.
---@field snippets? 'auto'|'on'|'off' Show the model pieces of other open files; auto does where it was trained to read them.
---@field snippetShare? number Part of the prompt that these may take; 0 for none.
---@field maxSnippets? integer Most pieces of other files in a prompt.

---@class fim_lsp.ServerSettings.Sampling
---@field maxTokens? integer Most tokens for a suggestion while typing.
---@field invokedMaxTokens? integer Most tokens for a suggestion asked for by a key.
---@field temperature? number 0 always takes the likeliest token.
---@field topK? integer Draw among this many likeliest tokens; 0 for all.
---@field topP? number Draw among the likeliest tokens of this much mass.
---@field seed? integer Seed of the draw.
---@field endBias? number How much more readily a suggestion ends before another line, in nats; null for what the model file says.

---@class fim_lsp.ServerSettings.Completion
---@field enabled? boolean Offer completions at all.
---@field disabledLanguages? string[] Language ids without completions.
---@field disabledFiles? string[] Names of files without completions, as glob patterns: where secrets are kept.
---@field automatic? boolean Offer completions while typing, not only when invoked.
---@field debounceMinMs? number Shortest wait after a keystroke.
---@field debounceMaxMs? number Longest wait after a keystroke.
---@field multiline? 'auto'|'always'|'never' Offer several lines: where a block may begin, always, or never.
---@field maxLines? integer Most lines of a suggestion.
---@field minConfidence? number Drop suggestions whose mean token probability is lower.
---@field stopBelow? number End a suggestion where the last tokens' mean probability falls below.
---@field timeBudgetMs? number Longest time to write a suggestion, once the prompt is evaluated.
---@field candidates? integer Suggestions to choose from where one is asked for by a key, as far as model.sequences allows.
---@field cacheSize? integer Suggestions remembered.
---@field prefetch? boolean Compute the next suggestion as soon as one is accepted.

---@class fim_lsp.ServerSettings.Adapters
---@field path? string A LoRA as a GGUF file.
---@field scale? number How strongly it is applied; 0 for not at all.
---@field languages? string[] Language ids that it is for; none for all.
---@field workspaces? string[] Folders whose documents it is for, as whole paths; none for all.

---@class fim_lsp.ServerSettings.Feedback
---@field enabled? boolean Count on this machine what became of suggestions, for fim-lsp stats; no code, nothing sent.

---@class fim_lsp.ServerSettings
---@field model? fim_lsp.ServerSettings.Model
---@field prompt? fim_lsp.ServerSettings.Prompt
---@field sampling? fim_lsp.ServerSettings.Sampling
---@field completion? fim_lsp.ServerSettings.Completion
---@field adapters? fim_lsp.ServerSettings.Adapters[] LoRA adapters to put on the model while it runs, as a list of objects; all that fit are applied.
---@field feedback? fim_lsp.ServerSettings.Feedback
---@field status? boolean Send fimLsp/status notifications (for clients that show them).
