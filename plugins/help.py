"""help - what there is to type."""

from __future__ import annotations

from dust.command import Command, Dust, UsageError, command

_OTHERWISE = """\
what is no command
  @TARGET LINE  sends a line to the shells of nodes; `@ LINE` to all that run
  @TARGET       the shell of one node, for vim or top; Ctrl-C x3 comes back
  !LINE         goes to the local shell, as any other line does
  help COMMAND  its usage, options and examples
  help targets  how nodes are selected"""

_TARGETS = """\
A target selects nodes of the working set: `show TARGET`, `@TARGET LINE`, ...

  worker1  w*  worker?  w[ab]*      names, with wildcards
  worker[4-5]  n[01-20]  n[0-10/2]  numbers in names, with padding and steps
  slurm1                            a cluster, where no node has that name
  1,3  2-5                          numbers of the first column of `show`
  state=stop*  ip=10.0.*  id=i-12*  any property; `show -vv` prints them all
  tags=env:dev  tags=owner:*        tags, wildcards in key and value
  %ready %busy %waiting %down       by what the session does now
  %ok %failed %last                 by what the last line did there
  %timeout %unreachable %differs    the same: lost, not reached, unlike others
  @rack1  @slurm:compute            groups of ClusterShell's groups.conf
  A,B  A&B  A!B  ( )                either, both, without
  *  or nothing                     the working set; for `@` its running nodes

A target ends at the first space outside of quotes: tags='Name:my node'"""


@command(name="help", aliases=("?",))
def help_(dust: Dust, command: str = "") -> None:
    """List the commands, or show how to use one of them.

    Usage: help [<command>]

    `help targets` tells how nodes are selected.
    """
    registry = dust.registry
    if not command:
        _list(dust)
    elif command == "targets" and command not in registry.commands:
        dust.print(_TARGETS)
    else:
        found = registry.find(command)
        dust.print(found.doc)
        if not _own(found):
            dust.print(f"\nFrom {found.path}:{found.line}{_replacing(dust, found)}")


def _list(dust: Dust) -> None:
    """All commands by plugin, a user's own after Dust's, and what else can be typed."""
    plugins: dict[tuple[bool, str], list[Command]] = {}
    for each in dust.registry.commands.values():
        plugins.setdefault((not _own(each), str(each.path)), []).append(each)
    for key in sorted(plugins):
        commands = plugins[key]
        where = f" ({key[1]})" if key[0] else ""
        dust.print(f"{commands[0].plugin_summary or commands[0].plugin}{where}")
        for each in commands:
            names = ", ".join([each.name, *each.aliases])
            dust.print(f"  {names:<12}  {each.summary}{_replacing(dust, each)}")
        dust.print()
    dust.print(_OTHERWISE)
    for problem in dust.registry.problems:
        dust.print(f"\nNot all is there: {problem}")


def _replacing(dust: Dust, found: Command) -> str:
    return " (in place of Dust's own)" if found.name in dust.registry.overridden else ""


def _own(found: Command) -> bool:
    return found.function.__module__.startswith("dust.plugins.")


@command
def reload(dust: Dust, plugin: str = "") -> None:
    """Take up plugins that are new or have changed.

    Usage: reload [<plugin>]

    With the name of a plugin, read that one again in any case.
    """
    names = dust.registry.reload(plugin or None)
    dust.print(f"read: {', '.join(names)}" if names else "no plugin has changed")
    for problem in dust.registry.problems:
        dust.error(str(problem))


@command(name="exit", aliases=("quit",))
def exit_(dust: Dust, status: str = "0") -> None:
    """Leave the shell, which ends its sessions; the nodes go on.

    Usage: exit [<status>]
    """
    if not (status.isascii() and status.isdecimal() and int(status) < 256):
        raise UsageError(f"exit {status}: a status is a number from 0 to 255")
    dust.leave(int(status))
