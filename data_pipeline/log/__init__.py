"""The behavior log: schema, row rules, quarantine, user ids, writer, reader, summary; front door: `log_folder`."""
