"""The commands: one file each; `main` gathers them."""
