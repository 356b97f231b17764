"""`sluice COMMAND …`: carry one command out."""

import difflib
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from sluice.cli.commands import all_commands, join_durations, parser_of, read_no_command, whole_help
from sluice.cli.project_settings import ProjectSettingsError, project_settings

WRONG, INTERRUPTED = 2, 130


def main(arguments: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> int:
    """Carry one command out and return its exit status; 2 if the command line is wrong.

    `environ` gets the settings of the project in the working folder, where it has none of its own.
    """
    given = join_durations(arguments)
    if not given:
        print(whole_help(), file=sys.stderr)
        return WRONG
    try:
        "".join(given).encode()
    except UnicodeEncodeError:
        print(f"sluice: the command line is not UTF-8: {' '.join(given)!a}", file=sys.stderr)
        return WRONG
    name, *rest = given
    commands = dict(all_commands())
    if name.startswith("-"):
        read_no_command(given)
    if name not in commands:
        nearest = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean `sluice {nearest[0]}`?" if nearest else "`sluice --help` lists the commands"
        print(f"sluice: there is no command {name!r}; {hint}", file=sys.stderr)
        return WRONG
    try:
        for variable, value in project_settings(Path.cwd()).items():
            environ.setdefault(variable, value)
    except ProjectSettingsError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return WRONG
    parser, module = parser_of(name, commands[name])
    return module.run(parser.parse_args(rest))


def run() -> None:
    """Be the program: exit with the status of the command."""
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `| head` has closed the pipe
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    run()
