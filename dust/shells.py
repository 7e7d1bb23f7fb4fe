"""What to type into each kind of login shell so that its prompt is a mark (see `framing`).

Everything is typed as one line, so that it arrives whole whatever the terminal does meanwhile.
Marks are spelled with printf's or the prompt's own escapes: an echo of the line is no mark.
The line defines two functions, which are all that is typed later: `__dl` makes the shell one for
lines (marks for prompts, no editing, no echo, no pager), `__dr` gives its user's shell back for
raw mode, with the mark before the prompt. Either may come twice.
"""

from __future__ import annotations

_MARK = "\\033]7770;{nonce};P;%s;%s\\007"

_BOOTSTRAP = (
    "exec sh -c '"
    "stty -echo; s=${SHELL:-/bin/sh}; l=$s; "
    "case $s in */fish) s=$(command -v bash || command -v sh);; esac; "
    "o=; if [ -e /proc/version ]; then o=Linux; fi; "  # uname would be a process more
    'printf "\\033]7770;%s;H;%s;%s;%s\\007" NONCE "$l" "$s" "$o"; '
    "case $l in "
    '*/fish) exec "$l" -l -c "exec $s";; '
    '*sh) exec "$l" -l;; '
    '*) exec "$l";; '
    "esac'"
)

_PAGER = 'if [ -z "${PAGER+x}" ]; then __dg=1; export PAGER=cat; fi; '
_NO_PAGER = 'if [ "${__dg-}" ]; then unset PAGER; __dg=; fi; '

# PROMPT_COMMAND puts the mark back where a command has changed PS1: an activated environment, a
# sourced .bashrc. That may set PROMPT_COMMAND too, which is the first element of what is an array
# here; before bash 5.1 only that one counts. __dh keeps what is typed here out of the user's
# history. At first the echo is off already.
_BASH = (
    " __du='\\e]7770;NONCE;'; "
    "__dm() { local s=$?; printf \"${__du}P;%s;%s\\a\" $s \"$PWD\"; return $s; }; "
    "__dh() { [[ $(HISTTIMEFORMAT= history 1) != *__d[hlr]* ]] || history -d -1; } 2>/dev/null; "
    "__dl() { if [ -z \"${__dz-}\" ]; then __dz=1; __d0=${PS0-} __d1=$PS1 __d2=$PS2 "
    "__do=:$SHELLOPTS: __dc=(\"${PROMPT_COMMAND[@]-}\"); fi; "
    "__dc[0]=${__dc[0]#__dm}; __dc[0]=${__dc[0]#; }; unset PROMPT_COMMAND; "
    "__dp=$__du'P;$?;$PWD\\a' __dq=$__du'C;$?\\a' PS0=$__du'S\\a'; PS1=$__dp PS2=$__dq; "
    "__dx='PS1=$__dp PS2=$__dq; export -n PS1 PS2'; PROMPT_COMMAND=(\"$__dx\" \"$__dx\"); "
    "set +o emacs +o vi; " + _PAGER + "${1-stty -echo}; __dh; }; "
    "__dr() { __dz= PS0=$__d0 PS1=$__d1 PS2=$__d2; unset PROMPT_COMMAND; "
    "PROMPT_COMMAND=(\"${__dc[@]}\"); PROMPT_COMMAND[0]=\"__dm${__dc[0]:+; ${__dc[0]}}\"; "
    "case $__do in *:vi:*) set -o vi;; *:emacs:*) set -o emacs;; esac; " + _NO_PAGER
    + "stty echo; __dh; }; "
    "shopt -s promptvars; export -n PS1 PS2; __dl :"
)  # fmt: skip

_ZSH = (
    " __dm() { local s=$?; printf '\\033]7770;NONCE;P;%s;%s\\007' $s \"$PWD\"; return $s; }; "
    "__dp() { PS1=$'%{\\e]7770;NONCE;P;%?;'${PWD//\\%/%%}$'\\a%}'; "
    "PS2=$'%{\\e]7770;NONCE;C;%?\\a%}' RPS1=; typeset -g +x PS1 PS2; }; "
    "__ds() { printf '\\033]7770;NONCE;S\\007'; }; "
    "__dl() { if [ -z \"${__dz-}\" ]; then __dz=1; typeset -ga precmd_functions preexec_functions; "
    "__d1=$PS1 __d2=$PS2 __d3=${RPS1-} __dc=(${precmd_functions:#__dm}) "
    "__dx=($preexec_functions); fi; unsetopt zle prompt_sp prompt_cr; "
    "precmd_functions=(__dp) preexec_functions=(__ds); __dp; " + _PAGER + "stty -echo; }; "
    "__dr() { __dz= PS1=$__d1 PS2=$__d2 RPS1=$__d3 precmd_functions=(__dm $__dc) "
    "preexec_functions=($__dx); setopt zle prompt_sp prompt_cr; " + _NO_PAGER + "stty echo; }; "
    "setopt interactive_comments prompt_percent; __dl"
)  # fmt: skip

# An option that a shell lacks would end its line, hence the trial in a subshell. __dk is the
# mark as it stands before the user's prompt in raw mode, spelled for the shell's line editor as
# text without width where it has a spelling for that.
_SH = (
    " __du=$(printf '\\033]7770;NONCE;') __db=$(printf '\\007'); "
    "__dk=$(printf 'OPEN')\"${__du}P;\"'$?;$PWD'\"$__db\"$(printf 'SHUT'); "
    "__dl() { if [ -z \"${__dz-}\" ]; then __dz=1; "
    "__d1=${PS1#\"$__dk\"} __d2=$PS2 __do=$(set +o); fi; "
    "PS1=\"${__du}P;\"'$?;$PWD'\"$__db\" PS2=\"${__du}C;\"'$?'\"$__db\"; "
    "for __o in emacs vi gmacs; do (set +o $__o) && set +o $__o; done; " + _PAGER
    + "stty -echo; } 2>/dev/null; "
    "__dr() { __dz= PS1=$__dk$__d1 PS2=$__d2; "
    "case $__do in *-o\\ vi*) set -o vi;; *-o\\ emacs*) set -o emacs;; esac; "
    + _NO_PAGER + "stty echo; } 2>/dev/null; __dl"
)  # fmt: skip

# Korn shells do not expand their continuation prompt.
_KSH = _SH.replace("C;\"'$?'\"", "C;-")

# An alias holds from the next line on, so the first switch is spelled out.
_CSH_LINES = (
    'set prompt="%{\\033]7770;NONCE;P;%?;%/\\007%}" prompt2="%{\\033]7770;NONCE;C;%?\\007%}"; '
    "unset edit; stty -echo"
)
_CSH_RAW = (
    'set prompt="%{\\033]7770;NONCE;P;%?;%/\\007%}$__d1:q" prompt2="$__d2:q"; set edit; stty echo'
)
_CSH = (
    f' if ( ! $?__d1 ) set __d1="$prompt:q" __d2="$prompt2:q"; alias __dl \'{_CSH_LINES}\'; '
    f"alias __dr '{_CSH_RAW}'; unset autologout; "
    # Without a locale it hangs at the first letter beyond ASCII.
    "if ( ! $?LC_ALL && ! $?LC_CTYPE && ! $?LANG ) setenv LC_CTYPE C.UTF-8; " + _CSH_LINES
)

_INIT = {
    "bash": _BASH,
    "zsh": _ZSH,
    "tcsh": _CSH,
    "sh": _SH.replace("OPEN", "").replace("SHUT", ""),
    # Without its editor it takes the end of a background job for the end of its input.
    "ash": " set -o ignoreeof;" + _SH.replace("OPEN", "\\\\[").replace("SHUT", "\\\\]"),
    "mksh": _KSH.replace("OPEN", "\\001\\r\\001").replace("SHUT", "\\001"),
    "ksh": _KSH.replace("OPEN", "").replace("SHUT", ""),
}
_INIT |= {"csh": _CSH, "busybox": _INIT["ash"], "dash": _INIT["sh"]}
_INIT |= {"lksh": _INIT["mksh"], "ksh93": _INIT["ksh"]}

#: What such a shell says at its prompt of the end of a background job.
NOISE = {"ash": b'\r\nUse "exit" to leave shell.\r\n'}
NOISE["busybox"] = NOISE["ash"]
#: What makes an initialised shell one for lines, its user's own again, and one for lines afresh.
TO_LINES, TO_RAW, ANEW = b" __dl", b" __dr", b" __dr; __dl"


def kind(path: str) -> str:
    """The kind of the shell at `path`, or "" for one whose prompt cannot be made a mark."""
    name = path.rpartition("/")[2]
    return name if name in _INIT else ""


def bootstrap(nonce: str) -> str:
    """The remote command: echo off, a greeting, then the user's own login shell.

    It is parsed by whatever the login shell is, so it holds to what all of them share. fish, whose
    editor and echo cannot be turned off, makes its environment and hands over to bash or sh.
    """
    return _BOOTSTRAP.replace("NONCE", nonce)


def init(kind: str, nonce: str, directory: bytes = b"") -> bytes:
    """The line that makes the prompts of such a shell marks, and goes to `directory` if given."""
    line = _INIT[kind].replace("NONCE", nonce)
    return (f"{line}; cd {_octal(directory)}" if directory else line).encode()


def longest(system: str) -> int:
    """How many bytes of a line a terminal of that system takes; it drops the rest."""
    return 4094 if system == "Linux" else 1000


def piece(kind: str) -> int:
    """How many bytes of a line such a shell reads at once, prompting before each read; 0: all."""
    return 1023 if kind in ("ash", "busybox") else 0


def _octal(data: bytes) -> str:
    """A word that stands for exactly these bytes, made of digits and backslashes.

    Only csh makes several words of it where there is a newline.
    """
    return '"`printf ' + "'" + "".join(f"\\{byte:03o}" for byte in data) + "'`\""
