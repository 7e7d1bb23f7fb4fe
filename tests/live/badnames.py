"""Names that no option, no shell and no terminal may ever make something of."""

#: Each would leave a file called this somewhere, if it were run.
CANARY = "pwned"

#: What options look like.
OPTIONS = ["-rf", "-", "--", "--help", "-y", f"-oProxyCommand=touch {CANARY}", "-F/dev/null"]
#: What a shell would read as more than a word.
SHELL = [
    "my file",
    "it's",
    'a "quoted" word',
    f"; touch {CANARY};",
    f"a && touch {CANARY}",
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"| touch {CANARY}",
    f"> {CANARY}",
    "${HOME}",
    "$HOME",
    "back\\slash",
]
#: What would break lines, or drive a terminal.
CONTROLS = [
    f"two\ntouch {CANARY}\n",
    f"a\rtouch {CANARY}\r",
    "tab\there",
    "\x1b]0;title\x07",
    "\x9b31m",
    "bell\x07",
    "del\x7f",
    "nul\0byte",
    "\u202etxt",
    "\udcff",
]
#: What ssh, patterns or paths give a meaning.
OTHERS = [
    f"root@-oProxyCommand=touch {CANARY}",
    "@",
    "%h",
    "%%",
    "{name}",
    "~no-such-user",
    "../elsewhere",
    "a,b",
    "[",
    "n[1-",
    "!n1",
    "x" * 300,
]
BAD = [*OPTIONS, *SHELL, *CONTROLS, *OTHERS]
