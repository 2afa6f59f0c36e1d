"""The command line: one function a command, whatever is slow to import inside it."""
