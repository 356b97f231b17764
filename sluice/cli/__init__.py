"""The command `sluice`: one name for all that people do with the service, on a laptop and with a deployment.

__main__           `sluice COMMAND …`: finds the command, and gives it its arguments
commands           every command, in the groups of `sluice --help`, the module that carries it out, and its parser
project_settings   the settings of the project in the working folder, in its pyproject.toml
new                `sluice new`: a folder with a record type, its tests, and all that deploys it
serve              `sluice serve`: becomes the service
schema             `sluice schema`: prints what is derived from a record type, compares and indexes the live tables
migrate            `sluice migrate`: changes the embedded store's file to fit the record types
erase              `sluice erase`: deletes the records of one id from the store
key                `sluice key`: makes an API key and its entry in a file of grants
settings, metrics  print every setting and every metric as the tables of the documents
declared_tables    the tables that a command line means

The other commands are in the rooms of what they act on (`sluice.ops`, `sluice_client`, …). Each is a module with
`add_arguments(parser)` and `run(args) -> int`, and is imported only when it is used.
"""
