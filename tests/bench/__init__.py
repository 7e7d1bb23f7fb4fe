"""Dust measured beside polysh, on real nodes of this machine; bin/bench runs it."""
