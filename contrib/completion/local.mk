# Each shell has its own directory for completion scripts.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_bashcompletion_DATA = contrib/completion/k6fleetctl
dist_zshcompletion_DATA = contrib/completion/_k6fleetctl
dist_fishcompletion_DATA = contrib/completion/k6fleetctl.fish

# The script that the man pages' examples run, and the schema of --json.
examplesdir = $(pkgdatadir)/examples
dist_examples_DATA = contrib/examples/hello.js
dist_pkgdata_DATA = docs/k6fleetctl.schema.json
