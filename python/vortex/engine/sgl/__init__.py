"""The names under which the original keeps its engine: `config` and `api`."""
