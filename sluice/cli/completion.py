"""`sluice completion SHELL`: a script by which the shell completes commands and options."""

import argparse
import sys

import shtab

from sluice.cli.parser import whole_parser

_HOW = """\
Print a script for your shell.

  bash   sluice completion bash >~/.local/share/bash-completion/completions/sluice
  zsh    sluice completion zsh >"${fpath[1]}/_sluice"
  tcsh   sluice completion tcsh >~/.sluice.tcsh, and `source` it in ~/.tcshrc"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell's name."""
    parser.description = _HOW
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    sys.stdout.write(shtab.complete(whole_parser(), shell=args.shell) + "\n")
    return 0
