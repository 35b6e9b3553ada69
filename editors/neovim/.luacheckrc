std = 'luajit'
globals = { 'vim' }
max_line_length = 100
files['lua/fim_lsp/settings.lua'] = { max_line_length = false }
