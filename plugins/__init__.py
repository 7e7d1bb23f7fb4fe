"""The commands of the prompt: one small file a subject."""
