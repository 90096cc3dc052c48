"""The TF.js format: table entry, writer, runtime (Node), and the checks of untrusted folders."""
