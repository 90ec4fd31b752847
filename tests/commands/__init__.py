"""The commands as people and scripts run them: processes, exit codes, what stands on stdout and on stderr."""
