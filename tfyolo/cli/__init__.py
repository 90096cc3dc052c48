"""The `tfyolo` command, one file a subcommand: parse, call, print."""
