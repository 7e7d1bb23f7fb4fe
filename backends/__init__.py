"""Where nodes come from: one file a source, each a `dust.backend.Backend`."""
